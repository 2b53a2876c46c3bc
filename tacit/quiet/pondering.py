"""Learning how many steps a token is worth, and what they were worth.

Shapes: M learned tokens, n steps, H hidden size.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine.dropout import without_dropout
from tacit.engine.run import run
from tacit.evaluate.flops import reading_flops, step_flops
from tacit.evaluate.predicting import text_rows
from tacit.example import Encoded
from tacit.methods.base import Loss
from tacit.objectives import in_chunks, learned_states, mean

if TYPE_CHECKING:
    from tacit.methods.ponder import Ponder
    from tacit.thinker import Thinker


def learn(method: "Ponder", thinker: "Thinker", batch: Batch, count: float) -> Loss:
    """The mean over when the cell stops, and its distance from the prior."""
    hidden, _ = learned_states(run(thinker, batch, end=batch.end).hidden, batch)
    nll, halts = stepped(thinker, hidden, batch.targets)
    chance = halts.exp()
    expected = (chance * nll).sum(1)
    apart = (chance * (halts - prior(method, halts))).sum(1)
    means = {"nll": expected, "kl": apart, "steps": steps_of(halts)}
    total = mean(expected + method.kl * apart, batch.weights, count)
    return Loss(total, {name: mean(each.detach(), batch.weights, count) for name, each in means.items()})


def stepped(thinker: "Thinker", hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """States (M, H) -> (M, n) the negative log-likelihood of `targets` after each step, and the log-probability of stopping
    there."""
    states, halts = thinker.aside.pondering(hidden)
    many = targets[:, None].expand(-1, states.shape[1]).flatten()
    nll = in_chunks(_nll, thinker, states.flatten(0, 1), many, many)
    return nll.view(halts.shape), halts.to(nll)


def _nll(thinker: "Thinker", states: Tensor, said: Tensor, targets: Tensor) -> Tensor:
    """Through the head as it is: `thinker.logits` would ponder."""
    logits = thinker.door.head(states)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none")


def prior(method: "Ponder", like: Tensor) -> Tensor:
    """(n,) log-probabilities of stopping after each step; the last takes what is left."""
    going_on = torch.arange(method.steps, device=like.device).to(like)
    chance = (1 - method.prior) ** going_on
    chance[:-1] *= method.prior
    return chance.log()


def steps_of(halts: Tensor) -> Tensor:
    """(M,) expected steps."""
    return halts.exp() @ torch.arange(1, halts.shape[1] + 1, device=halts.device).to(halts)


@torch.no_grad()
def measure(thinker: "Thinker", encoded: Sequence[Encoded], batch: int) -> dict[str, float]:
    """Negative log-likelihood in nats for each token of texts: in the mean over when the cell stops (`nll`), of the mixture of
    all steps (`mixed_nll`), after exactly so many steps (`nll/1`, …), and of the model without any (`base_nll`); expected
    `steps`, also before each kind of token (`steps/digit`, …); and arithmetic for each token, the head once and the expected
    steps (`flops_per_token`), beside that of the model without any (`base_flops_per_token`)."""
    rows = text_rows(encoded, thinker.limit)
    sums: dict[str, float] = {}
    kind = lru_cache(None)(lambda token: kind_of(thinker.tokenizer.decode([token])))
    with without_dropout(thinker):
        for start in range(0, len(rows), batch):
            part = Batch.of(rows[start : start + batch], thinker.vocab).to(thinker.device)
            for name, each in _each_token(thinker, part, kind).items() if len(part.targets) else ():
                sums[name] = sums.get(name, 0.0) + float(each.sum(dtype=torch.float64))
    if not sums:
        return {"nll": 0.0, "places": 0.0}
    counts = {name: count for name, count in sums.items() if name.split("/")[0] == "places"}
    found = {}
    for name in [name for name in sums if name not in counts]:
        count = counts.get(f"places/{name.split('/')[-1]}", counts["places"])
        if count:  # else there is no token of this kind
            found[name] = sums[name] / count
    plain = reading_flops(thinker, [len(row) - 1 for row in rows])
    costs = {"flops_per_token": plain + found["steps"] * step_flops(thinker), "base_flops_per_token": plain}
    return found | costs | {name: count for name, count in counts.items() if count}


KINDS = ("digit", "letter", "space", "mark")


def kind_of(text: str) -> str:
    """Of a token: what it is read as by people."""
    if any(letter.isdigit() for letter in text):
        return "digit"
    if any(letter.isalpha() for letter in text):
        return "letter"
    return "mark" if text.strip() else "space"


def _each_token(thinker: "Thinker", batch: Batch, kind: Callable[[int], str]) -> dict[str, Tensor]:
    """(M,) what is told of every learned token."""
    hidden, said = learned_states(run(thinker, batch, end=batch.end).hidden, batch)
    nll, halts = stepped(thinker, hidden, batch.targets)
    steps = steps_of(halts)
    told = {"nll": (halts.exp() * nll).sum(1), "mixed_nll": -(halts - nll).logsumexp(1), "steps": steps}
    told["base_nll"] = in_chunks(_nll, thinker, hidden, said, batch.targets)
    told |= {f"nll/{n}": each for n, each in enumerate(nll.unbind(1), 1)} | {"places": torch.ones_like(steps)}
    kinds = [kind(token) for token in batch.targets.tolist()]
    for name in KINDS:
        here = torch.tensor([one == name for one in kinds], device=steps.device)
        told |= {f"steps/{name}": steps * here, f"places/{name}": here}
    return told
