"""What a model that thinks predicts at every place of a text, found once for each text and kept.

Its thoughts belong to the seed and to the text's number, so what it says of a text is the same in every epoch, in every batch
and after every stop.

Shapes: L places of a text, k tokens kept of each distribution, T thoughts of a place, V vocabulary.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tacit.engine.stream import open_stream
from tacit.errors import ModelError
from tacit.methods.base import Lesson
from tacit.methods.quiet_star import QuietStar
from tacit.models.folder import read_facts
from tacit.models.places import find_weights
from tacit.objectives import CHUNK
from tacit.quiet.lm.readers import Readers, ponder
from tacit.quiet.lm.route import Route
from tacit.quiet.lm.walk import Drawing, joined
from tacit.quiet.texts import THOUGHTS, Texts, numbers, texts
from tacit.recipe.choice import choose
from tacit.rl.start import Start
from tacit.thinker import Thinker


class Told(NamedTuple):
    """What the teacher says of a text."""

    nll: Tensor
    """(L,) of the token that really comes next."""
    tokens: Tensor
    """(L, k) the likeliest tokens."""
    likely: Tensor
    """(L, k) their log-probabilities."""


class Teacher:
    """A saved thinker, or the student as it began (`method` None), which predicts without thoughts."""

    def __init__(self, start: Start, method: QuietStar | None, samples: int, keep: int):
        self._start, self.method, self.samples, self.keep = start, method, samples, keep
        self._known: dict[tuple[int, int], Told] = {}

    @classmethod
    def of(cls, path: str | None, student: Thinker, samples: int, keep: int) -> "Teacher":
        if path is None:
            return cls(Start.of(student), None, 1, keep)
        place = find_weights(path)
        facts = read_facts(place)
        saved = choose("method", facts["method"]) if facts is not None and "method" in facts else None
        if saved is None or not isinstance(saved.settings, QuietStar):
            what = "a plain language model" if saved is None else f"a model of method {saved.name}"
            raise ModelError(
                f"{path} is {what}, which has no thoughts to learn from; set method.teacher to a run of quiet_star, or to "
                "null for the control, in which the student as it began is the teacher"
            )
        teacher = Thinker.from_pretrained(place, dtype=student.door.dtype)
        _refuse_another_tokenizer(path, teacher, student)
        teacher.to(student.device).requires_grad_(False)
        return cls(Start(teacher, adapters_off=False), saved.settings, samples, keep)

    def told(self, rows: Sequence[Sequence[int]], lesson: Lesson) -> list[Told]:
        """Of texts, the rows of a lesson."""
        keys = [(lesson.seed, number) for _, number in lesson.picks]
        missing = list({key: n for n, key in enumerate(keys) if key not in self._known}.values())
        if missing:
            with self._start.thinker() as thinker, torch.no_grad():
                view = texts([rows[n] for n in missing], thinker.vocab.pad).to(thinker.device)
                # Not those of the epoch: a text is thought about once.
                picks = [(0, lesson.picks[n][1]) for n in missing]
                asked = Lesson({"main": view}, len(missing), picks=picks, seed=lesson.seed)
                for n, *said in zip(missing, *self._say(thinker, view, asked)):
                    self._known[keys[n]] = Told(*(part[: len(rows[n]) - 1].cpu() for part in said))
        return [self._known[key] for key in keys]

    def _say(self, thinker: Thinker, view: Texts, asked: Lesson) -> list[Tensor]:
        """(B, L), (B, L, k), (B, L, k)"""
        states = self._states(thinker, view, asked)  # (B, L, T, H)
        k = min(self.keep, thinker.vocabulary)
        size = max(1, CHUNK // (thinker.vocabulary * states.shape[2]))
        pieces = zip(states.flatten(0, 1).split(size), view.ids[:, 1:].flatten().split(size))
        said = [_mixed(thinker, each, true, k) for each, true in pieces]
        return [torch.cat(part).unflatten(0, states.shape[:2]) for part in zip(*said)]

    def _states(self, thinker: Thinker, view: Texts, asked: Lesson) -> Tensor:
        if self.method is None:
            door = thinker.door
            positions = torch.arange(view.ids.shape[1] - 1, device=view.ids.device).expand(len(view.ids), -1)
            return open_stream(door).read(door.embed(view.ids[:, :-1]), positions).hidden[:, :, None]
        readers = Readers.of(thinker, view.ids)
        at = torch.arange(readers.base.hidden.shape[1], device=view.ids.device).expand(len(view.ids), -1)
        chance = numbers(asked, THOUGHTS, self.samples, max(1, self.method.length))
        drawing = Drawing(chance, thinker.aside.banned(thinker.vocab))
        thoughts = ponder(thinker, readers, at, self.samples, Route.of(self.method), drawing)
        return joined(thinker, readers.base.hidden[:, :, None], thoughts.states[..., 0, :])


def _mixed(thinker: Thinker, states: Tensor, true: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """States (N, T, H): the mixture of what is predicted behind each of T thoughts."""
    logits = thinker.door.head(states)
    each = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
    mixed = each.logsumexp(1) - math.log(each.shape[1])  # (N, V)
    likely, tokens = mixed.topk(k)
    return -mixed.gather(1, true[:, None])[:, 0], tokens, likely


def _refuse_another_tokenizer(path: str, teacher: Thinker, student: Thinker) -> None:
    theirs, ours = (thinker.tokenizer.get_vocab() for thinker in (teacher, student))
    different = sorted(word for word in theirs.keys() | ours.keys() if theirs.get(word) != ours.get(word))
    if different:
        raise ModelError(
            f"{path} reads and writes other tokens than the student ({len(different)} differ, such as {different[0]!r}), so "
            f"it says nothing of the student's tokens; begin with weights of the same tokenizer (model.path: {path}), or "
            "name another method.teacher"
        )
