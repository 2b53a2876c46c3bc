"""A step in which a plain language model learns what a thinking one predicts.

Shapes: B rows, T columns, N learned tokens, k tokens kept of the teacher's distribution, V vocabulary.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine.run import run
from tacit.errors import TacitError
from tacit.methods.base import Lesson, Loss
from tacit.objectives import in_chunks, learned_states, mean
from tacit.quiet.texts import numbers

if TYPE_CHECKING:
    from tacit.methods.unquiet import Unquiet
    from tacit.quiet.lm.teacher import Teacher

TEMPERATURE = 3.0
"""At which a sampled token is learned, as published; it is sampled at 1."""
TOKENS = 1 << 43
"""Sets the random numbers of sampled tokens apart from all others."""


def asked(lesson: Lesson) -> Lesson:
    """The lesson with what the teacher says of each learned token: `nll` (N,), `tokens` and `likely` (N, k)."""
    if lesson.world is None:
        raise TacitError(
            "a student needs its teacher, which training was not given; pass world=World(task, examples) to fit, or call "
            "tacit.train"
        )
    teacher: Teacher = lesson.world.start
    batch: Batch = lesson.views["main"]
    told = teacher.told([layout.ids for layout in batch.layouts], lesson)
    rows, places = (part.tolist() for part in _where(batch))
    picked = {
        name: torch.stack([getattr(told[row], name)[place] for row, place in zip(rows, places)]).to(batch.ids.device)
        for name in told[0]._fields
    }
    return replace(lesson, extra=lesson.extra | picked)


def _where(batch: Batch) -> tuple[Tensor, Tensor]:
    """(N,) the row of each learned token, and (N,) which place of the row predicts it."""
    width = batch.shape[1]
    rows = batch.sources // width
    starts = torch.tensor(batch.starts, device=rows.device)
    return rows, batch.sources % width - starts[rows]


def learn(method: "Unquiet", thinker: Any, lesson: Lesson, counts: dict[str, Any]) -> Loss:
    """The loss of a lesson behind `asked`."""
    batch: Batch = lesson.views["main"]
    states, said = learned_states(run(thinker, batch, end=batch.end).hidden, batch)
    given = {name: value.double() for name, value in lesson.extra.items()}
    if method.kind == "published":
        rows, places = _where(batch)
        chance = numbers(lesson, TOKENS)[rows, places].double()
        told = in_chunks(_sampled, thinker, states, said, torch.stack([batch.targets.double(), chance], 1))
        nll, unlikely = told.unbind(1)
        reward = (given["nll"].to(nll) - nll.detach()).clamp(min=0)
        taught, numbers_told = reward * unlikely, {"reward": reward, "teacher_nll": given["nll"].to(nll)}
    else:
        told = in_chunks(
            _apart,
            thinker,
            states,
            said,
            torch.cat([batch.targets.double()[:, None], given["tokens"], given["likely"]], 1),
        )
        nll, taught = told.unbind(1)
        numbers_told = {"kl": taught, "teacher_nll": given["nll"].to(nll)}
    parts = {"nll": nll} | numbers_told
    means = {name: mean(each.detach(), batch.weights, counts["main"]) for name, each in parts.items()}
    total = method.weight * taught + method.nll * nll
    return Loss(mean(total, batch.weights, counts["main"]), means)


def _sampled(thinker: Any, states: Tensor, said: Tensor, given: Tensor) -> Tensor:
    """(N, 2): negative log-probability of the true token, and of one that is drawn; `given` (N, 2): the true token, and a
    uniform random number."""
    logits = _logits(thinker, states, said)
    told = logits.log_softmax(-1)
    with torch.no_grad():
        below = told.exp().cumsum(-1)
        drawn = torch.searchsorted(below, given[:, 1:].to(below) * below[:, -1:], right=True)
        drawn = drawn.clamp(max=below.shape[-1] - 1)
    flat = (logits / TEMPERATURE).log_softmax(-1)
    return -torch.cat([told.gather(1, given[:, :1].long()), flat.gather(1, drawn)], 1)


def _apart(thinker: Any, states: Tensor, said: Tensor, given: Tensor) -> Tensor:
    """(N, 2): negative log-probability of the true token, and how far the student's distribution is from the teacher's
    (Kullback-Leibler, in nats), all tokens that the teacher's k are not counted as one. `given` (N, 1 + 2 k)."""
    logits = _logits(thinker, states, said)
    k = (given.shape[1] - 1) // 2
    tokens, likely = given[:, 1 : 1 + k].long(), given[:, 1 + k :].to(logits)
    ours = logits.log_softmax(-1)
    apart = (likely.exp() * (likely - ours.gather(1, tokens))).sum(1)
    if k < logits.shape[1]:
        rest = (1 - likely.exp().sum(1)).clamp(min=0)
        # From the logits of the others, since what is left of 1 would be mostly rounding.
        others = logits.scatter(1, tokens, float("-inf")).logsumexp(1) - logits.logsumexp(1)
        apart = apart + torch.special.xlogy(rest, rest) - rest * others
    return torch.stack([-ours.gather(1, given[:, :1].long())[:, 0], apart], 1)


def _logits(thinker: Any, states: Tensor, said: Tensor) -> Tensor:
    logits = thinker.logits(states, said)
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
