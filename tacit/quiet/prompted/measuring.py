"""What thoughts behind a prompt are worth on texts, place by place, and whether the guess of it is any good."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from tacit.example import Encoded
from tacit.methods.base import Lesson
from tacit.quiet.measuring import Seen, summed
from tacit.quiet.prompted.deciding import KINDS, by_kind, kinds, means_by_kind, wanted
from tacit.quiet.prompted.learning import act, at_places
from tacit.quiet.prompted.prompts import in_ids
from tacit.quiet.prompted.thinking import nothing, readers, understand
from tacit.quiet.texts import texts

if TYPE_CHECKING:
    from tacit.methods.prompted import Prompted
    from tacit.thinker import Thinker


class Looked(NamedTuple):
    """A batch of texts: what thoughts are worth at places of them, and where they would be thought."""

    seen: Seen
    thinks: Tensor
    """(C,) whether the guess says that thinking pays there."""
    kinds: Tensor
    """(C,) what kind of token comes next."""


@torch.no_grad()
def look(
    method: "Prompted", thinker: "Thinker", encoded: Sequence[Encoded], batch: int, samples: int
) -> Iterator[Looked]:
    """Batches of texts, with thoughts at all places that are looked at and the next token predicted. Places and random numbers
    depend on a text's number alone, so that prompts are compared at the same places."""
    one = method.model_copy(update={"ahead": 1})
    words = in_ids(one.preface, one.chat, thinker)
    for start in range(0, len(encoded), batch):
        rows = encoded[start : start + batch]
        view = texts([[*row.question, *row.answer] for row in rows], thinker.vocab.pad).to(thinker.device)
        lesson = Lesson({"main": view}, len(rows), picks=[(0, start + n) for n in range(len(rows))])
        acted = act(one, thinker, words, lesson, samples, always=True)
        (at, weight), think = acted.places, acted.think
        read = readers(thinker, words.prompt, view.ids, 1)
        null = nothing(thinker, read, at, words, 1)
        cells = think.nonzero().tolist()
        # Half the batch away: another text, or another part of the same one.
        half, found = max(1, len(cells) // 2), []
        for shift in (0, half):
            thoughts = [list(row) for row in acted.thoughts]
            for number, (b, k) in enumerate(cells):
                other, place = cells[(number + shift) % len(cells)]
                thoughts[b][k] = acted.thoughts[other][place]
            found.append(understand(thinker, read, at, thoughts, 1).like)
            if not shift:
                tokens = torch.tensor([[[len(t.ids) for t in several] for several in row] for row in thoughts])
        guessed = torch.zeros_like(think)
        if one.decide is not None:
            guessed = wanted(one.decide, thinker, at_places(read.interpreter.hidden, at), None)
        like, swapped = (part.flatten(0, 1) for part in found)
        flat = (part.flatten() for part in (weight, null, acted.base))
        real, null, base = flat
        seen = Seen(real, like, tokens.flatten(0, 1).to(real.device), None, null, swapped, base)
        yield Looked(seen, guessed.flatten(), kinds(thinker.tokenizer, view.ids, at).flatten())


def measure(
    method: "Prompted", thinker: "Thinker", encoded: Sequence[Encoded], batch: int, samples: int
) -> dict[str, float]:
    """`tacit.quiet.measuring.summed`, and the `gain` of a thought over the null thought, in nats, the share of places where it
    `helps`, and the gain before each kind of token. With a guess of it also: the `share` of places where thinking seems to pay,
    by kind of token too, what is gained there as a mean over all places (`decided_gain`), and what as many thoughts at places
    drawn blindly would gain (`blind_gain`), which is always thinking and never thinking mixed at the same cost."""
    looked = list(look(method, thinker, encoded, batch, samples))
    found = summed(one.seen for one in looked)
    sums: dict[str, float] = {}
    for seen, thinks, which in looked:
        assert seen.null is not None
        gain = seen.like.mean(-1) - seen.null
        parts = {"helps": gain > 0, "share": thinks, "decided_gain": gain * thinks}
        told = {name: (part * seen.real).sum() for name, part in parts.items()}
        told |= by_kind("gain", seen.real, which, gain) | by_kind("share", seen.real, which, thinks)
        for name, value in told.items():
            sums[name] = sums.get(name, 0.0) + float(value)
    found["gain"] = found["null_nll"] - found["nll"]
    found |= {name: sums[name] / found["places"] for name in ("helps", "share", "decided_gain")}
    found["blind_gain"] = found["share"] * found["gain"]
    found |= dict.fromkeys((f"{name}_{kind}" for name in ("gain", "share") for kind in KINDS), 0.0)
    found |= means_by_kind(sums, ("gain", "share"))
    if method.decide is None:
        found = {name: v for name, v in found.items() if not name.startswith(("share", "decided", "blind"))}
    return found
