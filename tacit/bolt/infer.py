"""What must have been thought? Candidates from the posterior, weighed by the joint probability, and one of them chosen.

A thought Z behind a chunk X is drawn from q(Z | X, context) and weighs p(Z, X | context) / q(Z | X, context). Chosen in
proportion to its weight, one of K candidates is the nearer to a draw from p(Z | X, context) the more of them there are; the log
of the mean weight is, in expectation, a lower bound of log p(X | context).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from tacit.bolt.rounds import Inference
from tacit.engine.sampling import Sampling
from tacit.evaluate.flops import NONE, Work, reading_work, work
from tacit.evaluate.scores import log_probabilities
from tacit.layout import Layout, Segment
from tacit.methods.bolt import Marks, posterior, prior
from tacit.thinker import Thinker


@dataclass(frozen=True)
class Asked:
    """A chunk whose thought is wanted."""

    name: str
    """Of the document and the chunk's place in it."""
    context: Layout
    """What stands before the chunk."""
    chunk: Sequence[int]
    last: bool = True
    """The document ends with it."""
    marked: bool = True
    """The chunk is told to stand behind no thought."""


@dataclass
class Candidate:
    """A thought that was drawn."""

    ids: tuple[int, ...]
    log_q: float
    """Of the thought and the mark that ends it."""
    valid: bool
    """It ended itself, and no mark stands inside."""
    log_p: float = -math.inf
    """Of thought, mark and chunk."""

    @property
    def log_weight(self) -> float:
        return self.log_p - self.log_q if self.valid else -math.inf


@dataclass
class Inferred:
    """The candidates of a chunk, and the one that was taken."""

    candidates: list[Candidate] = field(default_factory=list)
    taken: int | None = None
    """None where no candidate is valid."""
    work: Work = NONE
    """What drawing and weighing took, every row counted as if it were alone."""

    @property
    def thought(self) -> tuple[int, ...]:
        return () if self.taken is None else self.candidates[self.taken].ids

    def bound(self, samples: int) -> float:
        """The log of the mean weight of the first so many candidates."""
        return _log_sum([c.log_weight for c in self.candidates[:samples]]) - math.log(samples)

    @property
    def effective(self) -> float:
        """How many equally heavy candidates would vary as much."""
        shares = _shares([c.log_weight for c in self.candidates])
        return 0.0 if shares is None else float(1.0 / (shares**2).sum())


def infer(thinker: Thinker, asked: Sequence[Asked], settings: Inference) -> list[Inferred]:
    """Candidates of every chunk, weighed, and one taken."""
    drawn = draw(thinker, asked, settings)
    weigh(thinker, asked, drawn, settings)
    for one, found in zip(asked, drawn):
        found.taken = _take(
            found.candidates, settings.choose, np.random.default_rng([settings.seed, 1, _number(one.name)])
        )
    return drawn


def draw(thinker: Thinker, asked: Sequence[Asked], settings: Inference) -> list[Inferred]:
    """Candidates from the posterior."""
    vocab, marks = thinker.vocab, Marks.of(thinker.vocab)
    sampling = Sampling(
        max_tokens=settings.max_tokens, temperature=settings.temperature, stop_tokens=(marks.end,), seed=settings.seed
    )
    prompts, numbers = [], []
    for one in asked:
        told = posterior(marks, (), one.chunk)[:-2]
        opened = Layout(*one.context.segments, *(told if one.marked else told[1:]))
        prompts += [opened] * settings.samples
        numbers += [_number(one.name) + k for k in range(settings.samples)]
    done = thinker.complete(prompts, sampling, slots=settings.batch, draws=numbers)
    special = {*marks, vocab.open, vocab.latent, vocab.close, vocab.eos, vocab.pad}
    found = []
    for start in range(0, len(done), settings.samples):
        candidates, spent = [], NONE
        for completion in done[start : start + settings.samples]:
            ended = completion.stopped == "stop"
            ids = tuple(completion.ids[:-1] if ended else completion.ids)
            candidates.append(Candidate(ids, sum(completion.logprobs), ended and bool(ids) and special.isdisjoint(ids)))
            spent = spent.plus(work(completion, vocab))
        found.append(Inferred(candidates, work=spent))
    return found


def weigh(thinker: Thinker, asked: Sequence[Asked], found: Sequence[Inferred], settings: Inference) -> None:
    """The joint probability of every valid candidate and its chunk. Equal candidates of a chunk are read once."""
    marks = Marks.of(thinker.vocab)
    rows: dict[tuple[int, tuple[int, ...]], Layout] = {}
    for number, (one, inferred) in enumerate(zip(asked, found)):
        for candidate in inferred.candidates:
            if candidate.valid:
                rows.setdefault((number, candidate.ids), _joint(marks, one, candidate.ids, thinker.vocab.eos, settings))
    for (number, _), row in rows.items():
        found[number].work = found[number].work.plus(reading_work(row, thinker))
    scores = dict(zip(rows, log_probabilities(thinker, list(rows.values()), settings.batch)))
    for number, inferred in enumerate(found):
        for candidate in inferred.candidates:
            candidate.log_p = scores.get((number, candidate.ids), -math.inf)


def _joint(marks: Marks, one: Asked, thought: tuple[int, ...], eos: int, settings: Inference) -> Layout:
    opening, *rest = prior(marks, thought, one.chunk)
    start, before = opening.ids
    context = [segment._replace(learn=0.0) for segment in one.context.segments]
    opened = [Segment("mark", (start,)), Segment("mark", (before,), float(settings.mark_counts))]
    return Layout(*context, *opened, *rest, *([Segment("answer", (eos,), 1.0)] if one.last else []))


def _take(candidates: Sequence[Candidate], how: str, rng: np.random.Generator) -> int | None:
    shares = _shares([c.log_weight for c in candidates])
    if shares is None:
        return None
    if how == "argmax":
        return int(shares.argmax())
    if how == "uniform":
        return int(rng.choice([n for n, c in enumerate(candidates) if c.valid]))
    return int(rng.choice(len(candidates), p=shares))


def _shares(log_weights: Sequence[float]) -> np.ndarray | None:
    """Weights as parts of one, or None where there is none."""
    logs = np.array(log_weights)
    if not np.isfinite(logs).any():
        return None
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top if math.isinf(top) else top + math.log(math.fsum(math.exp(value - top) for value in values))


def _number(name: str) -> int:
    """The random numbers that belong to a chunk, with room for those of its candidates."""
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest(), "big") << 8
