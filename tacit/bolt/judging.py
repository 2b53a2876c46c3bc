"""How likely a model finds held-out documents: a lower bound, by so many candidates for each chunk.

A document's chunks come one behind the other, each behind thoughts for those before it. The product of the mean weights of its
chunks is, in expectation, its probability, so the log of it is a lower bound on average. That holds because the thought that
stands before later chunks is drawn in proportion to its weight, among just the candidates that the mean is of. So every number of
candidates has its own draws and its own contexts, however thoughts are chosen for learning; weights are right at temperature 1
only; chunks are of even size, and all earlier text is shown, as far as there is room.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tacit.bolt.documents import Found, infer_documents
from tacit.bolt.rounds import Rounds
from tacit.errors import TacitError
from tacit.example import Example, Template
from tacit.thinker import Thinker

SEED = 1 << 30
"""Held-out bounds are drawn with random numbers of their own."""
FLOOR = -50.0
"""Nats that a chunk counts as without a valid candidate, whose bound is minus infinity; or those of an even guess at each of its
tokens, where these are less."""


@dataclass(frozen=True)
class Bound:
    """Of a document that fits into the model."""

    nats: float
    tokens: int
    floored: bool
    """A chunk had no valid candidate."""


def judge(thinker: Thinker, examples: Sequence[Example], template: Template, rounds: Rounds) -> dict[str, float]:
    """Means over documents and over tokens, for each number of candidates; how many documents they are of, and how many are left
    out because a chunk does not fit into the model."""
    told: dict[str, float] = {}
    for samples in rounds.judged:
        bounds = [bound_of(one, samples, thinker) for one in found_for(thinker, examples, template, rounds, samples)]
        whole = [one for one in bounds if one is not None]
        if not whole:
            raise TacitError("no held-out document fits into the model whole; set bolt.judged: [] or a larger model")
        nats, tokens = math.fsum(one.nats for one in whole), sum(one.tokens for one in whole)
        told |= {
            f"bound_{samples}": nats / len(whole),
            f"bound_{samples}_per_token": nats / tokens,
            f"bound_{samples}_floored": float(sum(one.floored for one in whole)),
            "bound_documents": float(len(whole)),
            "bound_left_out": float(len(bounds) - len(whole)),
        }
    return told


def found_for(
    thinker: Thinker, examples: Sequence[Example], template: Template, rounds: Rounds, samples: int
) -> list[Found]:
    """What a bound by so many candidates is made of."""
    own = {"samples": samples, "choose": "resample", "temperature": 1.0, "window": None, "seed": SEED}
    even = rounds.chunking.model_copy(update={"even": True})
    return infer_documents(thinker, examples, template, rounds.infer.model_copy(update=own), even)


def bound_of(found: Found, samples: int, thinker: Thinker) -> Bound | None:
    """The bound of a document; None where one of its chunks does not fit."""
    nats, floored, last = 0.0, False, len(found.pairs) - 1
    for place, ((chunk, _), one) in enumerate(zip(found.pairs, found.inferred)):
        if one is None:
            return None
        length, bound = len(chunk) + (place == last), one.bound(samples)
        if math.isinf(bound):
            floored, bound = True, min(FLOOR, -length * math.log(thinker.vocabulary))
        nats += bound
    return Bound(nats, sum(len(chunk) for chunk, _ in found.pairs) + 1, floored)
