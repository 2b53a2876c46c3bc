"""The loss of a student beside its teacher: two cross-entropies, and the distance of their states at the token before the answer.

Shapes: L layers, B rows, H hidden size.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine.run import Trace, run
from tacit.methods.base import Lesson, Loss
from tacit.objectives import nll

if TYPE_CHECKING:
    from tacit.methods.pccot import Distance
    from tacit.thinker import Thinker

EPSILON = 1e-8


def taught(
    thinker: "Thinker", lesson: Lesson, counts: Mapping[str, Any], distance: "Distance", weights: Mapping[str, float]
) -> Loss:
    """The weighted sum, and each of its terms before it was weighted."""
    student, teacher = lesson.views["main"], lesson.views["teacher"]
    thought, written = (run(thinker, view, layers=weights["distill"] > 0, end=view.end) for view in (student, teacher))
    parts = {
        "student": (weights["main"], nll(thinker, thought.hidden, student, counts["main"])),
        "teacher": (weights["teacher"], nll(thinker, written.hidden, teacher, counts["teacher"])),
    }
    if weights["distill"]:
        mine = _before_answer(thought, student, distance.embedding)
        theirs = _before_answer(written, teacher, distance.embedding)
        parts["distill"] = (weights["distill"], apart(mine, theirs, distance).sum() / counts["rows"])
    total = torch.stack([weight * value for weight, value in parts.values()]).sum()
    return Loss(total, {name: value.detach() for name, (_, value) in parts.items()})


def _before_answer(trace: Trace, view: Batch, embedding: bool) -> Tensor:
    """(L, B, H): every layer's state at the last token of the words before the answer."""
    assert trace.layers is not None
    at = view.at("cue", -1)
    rows = torch.arange(len(at), device=at.device)
    return torch.stack([layer[rows, at] for layer in trace.layers[0 if embedding else 1 :]])


def apart(student: Tensor, teacher: Tensor, distance: "Distance") -> Tensor:
    """(B,): how far the student's states are from the teacher's, the mean over layers. Only the student is moved."""
    wide = torch.promote_types(student.dtype, torch.float32)
    student, teacher = student.to(wide), teacher.detach().to(wide)
    if distance.measure == "l2":
        each = (student - teacher).norm(dim=-1)
    else:
        each = torch.nn.functional.smooth_l1_loss(student, teacher, reduction="none").mean(-1)  # (L, B)
    if distance.norm == "layer_std":
        each = each / (teacher.flatten(1).std(1, keepdim=True) + EPSILON)
    elif distance.norm == "row_std":
        each = each / (teacher.std(-1) + EPSILON)
    return each.mean(0)
