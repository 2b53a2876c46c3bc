"""A student and its teacher on one trunk give the losses, the terms and the gradients of two separate passes for every row."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tacit import thinker as thinking_model
from tacit.engine import masks, run
from tacit.engine.averages import Picks
from tacit.engine.door import Door
from tacit.errors import DataError, ModelError
from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods import distilling
from tacit.methods.base import Lesson
from tacit.methods.distance import Distance
from tacit.methods.distill import Count, Distill, Stages
from tacit.vocab import Vocab
from tests.exactness import oracle, tiny
from tests.exactness.tiny import VOCAB, same, thinker, words

FAMILIES = ("gpt2", "gpt2-untied", "llama", "llama-tied", "mistral", "gemma3-mixed")
NORMS = ("layer_std", "layer_l2", "std", "l2", "none")


def examples() -> list[Encoded]:
    """Questions, steps and answers of different lengths; one example without a step that the teacher could write."""
    shapes = [(5, (3, 2, 1), 2), (3, (2, 4), 1), (7, (2,), 3), (2, (1, 1, 1, 2), 1)]
    made = []
    for r, (ask, steps, end) in enumerate(shapes):
        chain = tuple(words(n, 100 * r + s) for s, n in enumerate(steps))
        made.append(Encoded(str(r), words(ask, 7 * r), chain, words(2, 999), words(end, 31 * r)))
    return made


def method(**fields) -> Distill:
    return Distill(**{"latents": Count(per_step=1, plus=1, most=4), "codi": 2.0, **fields})


def lesson_of(method: Distill, given: list[Encoded], stage: int = 0) -> Lesson:
    rows = [method.layouts(ex, VOCAB, stage, np.random.default_rng(r)) for r, ex in enumerate(given)]
    return Lesson(method.collate(rows, VOCAB), len(rows))


def mind_of(family: str, method: Distill, **more):
    return thinker(family, **{**method.thinking().model_dump(), "feedback": "mlp", **more})


def ours(mind, method: Distill, given=None, stage: int = 0):
    lesson = lesson_of(method, examples() if given is None else given, stage)
    return method.loss(mind, lesson, lesson.counts())


# --- the same in the plainest torch ----------------------------------------------------------------------------------


def naive_terms(method: Distill, students, teachers, ids):
    """The three terms from every layer's states of both rows, each (T, H), and the rows' layouts."""
    found = {"codi": [], "meaned": [], "aligned": []}
    for student, teacher, (main, other) in zip(students, teachers, ids):
        cut = slice(0 if method.distance.embedding else 1, None)
        s, t = torch.stack(student)[cut], torch.stack(teacher)[cut].detach()
        if method.distance.blocks:
            a, b = method.distance.blocks
            keep = [0, *range(1 + a, 2 + b)] if method.distance.embedding else list(range(a, b + 1))
            s, t = s[keep], t[keep]
        at = [layout.span("cue")[1] + method.target for layout in (main, other)]
        found["codi"].append((s[:, at[0]], t[:, at[1]]))
        thought = list(range(*main.span("thought")))
        written = [c for start, end in other.pieces("steps") for c in range(start, end)]
        if written:
            found["meaned"].append((s[:, thought].mean(1), t[:, written].mean(1)))
        else:
            found["meaned"].append((torch.zeros_like(s[:, 0]), torch.zeros_like(t[:, 0])))
        for c, (_, end) in zip(thought, other.pieces("steps")):
            found["aligned"].append((s[:, c], t[:, end - 1]))
    return {
        name: naive_distance(method.distance, pairs) for name, pairs in found.items() if pairs and getattr(method, name)
    }


def naive_distance(distance: Distance, pairs) -> torch.Tensor:
    students, teachers = (torch.stack(side) for side in zip(*pairs))  # (P, L, H)
    gaps = []
    for level in range(students.shape[1]):
        s, t = students[:, level], teachers[:, level]
        if distance.measure == "l2":
            gap = sum((a - b).square().sum().sqrt() if (a - b).any() else 0.0 for a, b in zip(s, t)) / len(s)
        else:
            size = (s - t).abs()
            gap = torch.where(size < 1, size.square() / 2, size - 0.5).mean()
        over = t if distance.norm.startswith("layer") else teachers
        if distance.norm.endswith("std"):
            gap = gap / (((over - over.mean()).square().sum() / (over.numel() - 1)).sqrt() + 1e-8)
        elif distance.norm.endswith("l2"):
            gap = gap / (over.square().sum(-1).sqrt().mean() + 1e-8)
        gaps.append(gap)
    return sum(gaps) / len(gaps)


def naive(mind, method: Distill, given=None, stage: int = 0) -> torch.Tensor:
    """Two whole passes for every row, unpadded."""
    seen = tiny.mind(mind)
    free = replace(seen, logits=no_decision)
    students, teachers, ids = [], [], []
    sums, counts = {"main": 0.0, "teacher": 0.0}, {"main": 0.0, "teacher": 0.0}
    for r, ex in enumerate(examples() if given is None else given):
        views = method.layouts(ex, VOCAB, stage, np.random.default_rng(r))
        ids.append((views["main"], views.get("teacher")))
        for name, layout in views.items():
            inputs = made(mind.thinking, seen, layout.ids)
            weights = [s.learn for s in layout.segments for _ in s.ids]
            judge = seen if name == "main" else free
            sums[name] = sums[name] + oracle.row_loss(judge, inputs, layout.ids, layout.labels, weights)
            counts[name] += sum(w for w, label in zip(weights[1:], layout.labels[1:]) if label != oracle.IGNORE)
            (students if name == "main" else teachers).append(seen.forward(inputs)[1])
    total = method.student * sums["main"] / counts["main"]
    if teachers:
        total = total + method.teacher * sums["teacher"] / counts["teacher"]
        terms = naive_terms(method, students, teachers, ids)
        total = total + sum(getattr(method, name) * term for name, term in terms.items())
    return total


def made(thinking, seen, ids: list[int]) -> list[torch.Tensor]:
    """The inputs of a row, its thoughts one by one or all at once."""
    if thinking.schedule == "jacobi":
        return oracle.jacobi(seen, ids, thinking.rounds)
    return oracle.thoughtful(seen, ids)


def no_decision(row: torch.Tensor, said: int) -> torch.Tensor:
    """A teacher writes: neither one more silent step nor their end can follow, also behind <think>."""
    row = row.clone()
    row[[VOCAB.latent, VOCAB.close]] = float("-inf")
    return row


def check(family: str, method: Distill, given=None, stage: int = 0, **thinking) -> None:
    mind = mind_of(family, method, **thinking)
    same(family, mind, ours(mind, method, given, stage).total, naive(mind, method, given, stage))


# --- the properties --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_one_trunk_is_two_passes(family):
    check(family, method())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("measure", ["smooth_l1", "l2"])
@pytest.mark.parametrize("term", ["codi", "meaned", "aligned"])
def test_every_term_and_normaliser(term, measure, norm):
    weights = {"codi": 0.0, "meaned": 0.0, "aligned": 0.0, term: 3.0}
    check("gpt2", method(distance=Distance(measure=measure, norm=norm), **weights))


@pytest.mark.parametrize(
    "fields",
    [
        {"meaned": 1.5, "aligned": 0.5},
        {"distance": Distance(blocks=(0, 0))},
        {"distance": Distance(embedding=True)},
        {"distance": Distance(blocks=(1, 1), embedding=True)},
        {"target": -2},
        {"drop_last": False},
        {"opened": True},
        {"student": 0.5, "teacher": 2.0},
        {"teacher": 0.0},
        {"teacher": 0.0, "codi": 0.0},
        {"stop": 0.0, "latents": Count(plus=3)},
        {"stop": 0.0, "latents": Count(plus=3), "learn_cue": False},
        {"stop": 0.25},
        {"latents": Count(plus=0), "codi": 0.0},
    ],
    ids=str,
)
def test_every_field(fields):
    check("gpt2", method(**fields))


@pytest.mark.parametrize("stage", range(4))
@pytest.mark.parametrize("opened", [True, False])
def test_every_stage(stage, opened):
    """Also the first, in which the student writes everything and thinks nothing."""
    staged = method(stages=Stages(last=3), opened=opened, aligned=1.0)
    check("gpt2", staged, stage=stage)


def test_other_ways_of_thinking():
    for thinking in ({"feedback": "pause"}, {"stop_temperature": 3.0}, {"source": "penultimate"}):
        check("gpt2", method(meaned=1.0), **thinking)
    closing = method(thoughts=method().thoughts.model_copy(update={"close": "token+thought"}))
    check("gpt2", closing)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("rounds", [0, 1, 3, 4])
def test_thoughts_made_at_once(family, rounds):
    """As many rounds as thoughts are the thoughts made one by one, and fewer are not; none leaves the tokens themselves."""
    learned = parallel(rounds)
    check(family, learned)
    mind = mind_of(family, learned)
    at_once = ours(mind, learned).total
    mind.thinking = mind.thinking.model_copy(update={"schedule": "cached"})
    one_by_one = ours(mind, learned).total
    assert (abs(float((at_once - one_by_one).detach())) < 1e-12) is (rounds >= 3)


def parallel(rounds: int) -> Distill:
    thoughts = method().thoughts.model_copy(update={"schedule": "jacobi", "rounds": rounds})
    return method(latents=Count(plus=3), thoughts=thoughts, stop=0.0, learn_cue=False, meaned=1.0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("cuts", [(0, 1, 4), (0, 2, 3, 4), (0, 1, 2, 3, 4)])
def test_a_step_in_pieces_is_the_step(cuts, norm):
    """Also the normaliser, which no piece could know from its own rows."""
    learned = method(meaned=1.0, aligned=1.0, distance=Distance(norm=norm))
    mind, given = mind_of("gpt2", learned), examples()
    check_pieces(mind, learned, [given[a:b] for a, b in zip(cuts, cuts[1:])])


@pytest.mark.parametrize("fields", [{"aligned": 1.0}, {"meaned": 1.0, "stages": Stages(last=3)}], ids=str)
def test_a_piece_in_which_nothing_can_be_compared(fields):
    """Its row has no step that the teacher writes, or no silent step either."""
    learned, given = method(codi=0.0, **fields), examples()
    check_pieces(mind_of("gpt2", learned), learned, [given[:2], given[2:3], given[3:]])


def check_pieces(mind, learned: Distill, groups) -> None:
    pieces = []
    for r, group in enumerate(groups):
        rows = [learned.layouts(ex, VOCAB, 0, np.random.default_rng(r)) for ex in group]
        pieces.append(learned.rollout(mind, Lesson(learned.collate(rows, VOCAB), len(rows), whole=False)))
    counts: dict[str, float] = {}
    for piece in pieces:
        for name, count in piece.counts().items():
            counts[name] = counts.get(name, 0.0) + count
    losses = [learned.loss(mind, piece, counts) for piece in pieces]
    whole_step = ours(mind, learned, [ex for group in groups for ex in group])
    same("gpt2", mind, sum(loss.total for loss in losses), whole_step.total)
    for name, part in whole_step.parts.items():
        torch.testing.assert_close(sum(loss.parts[name] for loss in losses), part, rtol=1e-9, atol=1e-12)


def test_what_is_told():
    """Every part by its name; the distances of all layers give the term."""
    learned = method(meaned=1.0)
    found = ours(mind_of("gpt2", learned), learned).parts
    assert {"student", "teacher", "stop", "codi", "meaned"} < found.keys()
    for term in ("codi", "meaned"):
        layers = [found[f"{term}/{l}/distance"] / found[f"{term}/{l}/size"] for l in range(2)]
        torch.testing.assert_close(sum(layers) / 2, found[term])
        assert all(found[f"{term}/{l}/{side}_l2"] > 0 for l in range(2) for side in ("student", "teacher"))
    assert not any(part.requires_grad for part in found.values())


def test_only_the_student_is_moved_by_a_term():
    """Without its cross-entropy nothing of the teacher is learned, and a teacher that thinks like its student is at rest."""
    learned = method(student=0.0, teacher=0.0, stop=0.0, latents=Count(plus=3))
    mind = mind_of("gpt2", learned)
    lesson = lesson_of(learned, examples())
    teacher = lesson.views["twins"]
    before = learned.loss(mind, lesson, lesson.counts()).total
    found = tiny.gradients(mind, before)
    assert found["feedback.module.inner.weight"].abs().max() > 1e-6
    written = sorted({t for ex in examples() for step in ex.steps[:-1] for t in step} - _seen_by_students())
    assert written and not found["model.transformer.wte.weight"][written].any(), "the teacher was moved"
    assert teacher.learned == lesson.counts()["student"] + lesson.counts()["teacher"]


def _seen_by_students() -> set[int]:
    return {t for ex in examples() for t in (*ex.question, *ex.cue, *ex.answer)}


# --- twins -----------------------------------------------------------------------------------------------------------


def teacher_moves(patch):
    patch.setattr(torch.Tensor, "detach", lambda self: self)


def next_token_compared(patch):
    averages = distilling._averages
    later = lambda places: [[place[0] + 1] if len(place) == 1 else place for place in places]  # noqa: E731
    patch.setattr(
        distilling, "_averages", lambda batch, rows, stage, places: averages(batch, rows, stage, later(places))
    )


def beginnings_of_steps_compared(patch):
    pieces = Layout.pieces
    patch.setattr(Layout, "pieces", lambda self, name: [(start, start + 1) for start, _ in pieces(self, name)])


def losses_exchanged(patch):
    patch.setattr(distilling, "PARTS", distilling.PARTS[::-1])


def sums_for_means(patch):
    add = Picks.add_to
    patch.setattr(Picks, "add_to", lambda self, *given: add(self._replace(shares=torch.ones_like(self.shares)), *given))


def biased_deviation(patch):
    sizes = distilling.sizes
    n = lambda teacher: teacher.shape[1] * teacher.shape[2]  # noqa: E731
    wrong = lambda teacher, *given: sizes(teacher, *given) * ((n(teacher) - 1) / n(teacher)) ** 0.5  # noqa: E731
    patch.setattr(distilling, "sizes", wrong)


def unknown_teachers_count(patch):
    of = distilling._pairs

    def wrong(*given):
        pairs = of(*given)
        return replace(pairs, known=torch.ones_like(pairs.known))

    patch.setattr(distilling, "_pairs", wrong)


def thoughts_without_gradient(patch):
    enter = run._Walk._enter
    patch.setattr(run._Walk, "_enter", lambda self, *given: enter(self, *given).detach())


def teachers_decide(patch):
    where = torch.where
    keep = lambda condition, a, b: b if a is VOCAB.pad else where(condition, a, b)  # noqa: E731
    patch.setattr(torch, "where", keep)


def decisions_among_all_tokens(patch):
    patch.setattr(thinking_model, "confine", lambda logits, *given: logits)


def stops_not_learned(patch):
    thought = Vocab.thought
    patch.setattr(Vocab, "thought", lambda self, count, learn=0.0: thought(self, count))


def teachers_read_the_marker(patch):
    """A tail one column further than it leaves the trunk: behind the student's <think>."""
    beside = masks.beside
    patch.setattr(masks, "beside", lambda trunk, at, *rest: beside(trunk, at + 1, *rest))


def positions_count_padding(patch):
    read = run._Walk._read

    def wrong(self, stream, embeds, start, end):
        columns = torch.arange(self.batch.shape[1]).expand(self.batch.shape)
        self.batch = replace(self.batch, positions=columns)
        return read(self, stream, embeds, start, end)

    patch.setattr(run._Walk, "_read", wrong)


def heads_tied(patch):
    patch.setattr(Door, "head", lambda self, hidden: hidden @ self.embedding.weight.T)


def one_round_less(patch):
    jacobi = run._Walk.jacobi

    def wrong(self):
        thinking = self.thinker.thinking
        self.thinker.thinking = thinking.model_copy(update={"rounds": thinking.rounds - 1})
        trace = jacobi(self)
        self.thinker.thinking = thinking
        return trace

    patch.setattr(run._Walk, "jacobi", wrong)


@pytest.mark.parametrize(
    ("sabotage", "found", "family", "sabotaged"),
    [
        (teacher_moves, "gradients", "gpt2", method(meaned=1.0, opened=True)),
        (next_token_compared, "losses", "gpt2", method()),
        (beginnings_of_steps_compared, "losses", "gpt2", method(codi=0.0, aligned=1.0)),
        (losses_exchanged, "losses", "gpt2", method(student=2.0)),
        (sums_for_means, "losses", "gpt2", method(codi=0.0, meaned=1.0)),
        (biased_deviation, "losses", "gpt2", method()),
        (unknown_teachers_count, "losses", "gpt2", method(meaned=1.0)),
        (thoughts_without_gradient, "gradients", "gpt2", method()),
        (teachers_decide, "losses", "gpt2", method(opened=True)),
        (decisions_among_all_tokens, "losses", "gpt2", method()),
        (stops_not_learned, "losses", "gpt2", method()),
        (teachers_read_the_marker, "losses", "gpt2", method()),
        (positions_count_padding, "losses", "gpt2", method()),
        (heads_tied, "losses", "gpt2-untied", method()),
        (one_round_less, "losses", "gpt2", parallel(2)),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_sabotage_is_noticed(sabotage, found, family, sabotaged, monkeypatch):
    check(family, sabotaged)
    mind = mind_of(family, sabotaged)
    reference = naive(mind, sabotaged)
    sabotage(monkeypatch)
    total = ours(mind, sabotaged).total
    monkeypatch.undo()
    with pytest.raises(AssertionError, match=f"{found}.* differ"):
        same(family, mind, total, reference)


def test_a_normaliser_of_the_piece_alone_is_noticed(monkeypatch):
    """Each piece divides by the size of its own teachers' states: what was gathered for it and not what the step adds up to."""
    learned, sizes = method(), distilling.sizes
    own = lambda teacher, term, counts, distance: sizes(teacher, term, {term: teacher.shape[1]}, distance)  # noqa: E731
    monkeypatch.setattr(distilling, "sizes", own)
    with pytest.raises(AssertionError):
        check_pieces(mind_of("gpt2", learned), learned, [examples()[:1], examples()[1:]])


# --- what cannot be compared is refused ------------------------------------------------------------------------------


def test_layers_that_the_model_does_not_have():
    wrong = method(distance=Distance(blocks=(1, 2)))
    with pytest.raises(ModelError, match=r"layers 0 to 1; set method\.distance\.blocks"):
        ours(mind_of("gpt2", wrong), wrong)


def test_a_target_before_the_cue():
    with pytest.raises(DataError, match="set at least -2"):
        lesson_of(method(target=-3), examples())


def test_no_words_before_the_answer():
    with pytest.raises(DataError, match=r"set template\.cue"):
        lesson_of(method(), [examples()[0]._replace(cue=())])


@pytest.mark.parametrize("family", ["gru"])
def test_a_model_without_layers(family):
    with pytest.raises(ModelError, match="no layers to compare"):
        ours(mind_of(family, method()), method())
    plain = method(codi=0.0)
    check(family, plain)
