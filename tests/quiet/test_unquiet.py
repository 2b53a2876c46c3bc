"""A plain model that learns from a thinking one: the teacher says what it predicts, thinks about each text once, the losses are
those of a naive computation, and who cannot teach is refused."""

import json
import math

import numpy as np
import pytest
import torch

import tacit
from tacit.errors import ModelError
from tacit.evaluate import evaluate
from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Lesson, World
from tacit.methods.plain import Plain
from tacit.methods.quiet_star import QuietStar
from tacit.methods.unquiet import Unquiet
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.quiet.lm import teacher as teaching
from tacit.quiet.lm.teacher import Teacher
from tacit.quiet.lm.unthinking import TEMPERATURE, TOKENS
from tacit.quiet.texts import numbers
from tacit.recipe import FaultyRecipe
from tacit.recipe.schema import Model
from tacit.rl.start import Start
from tacit.study.conclude import TEST, table
from tacit.study.runs import Run
from tacit.thinker import Thinker
from tacit.thinking import Thinking
from tests.quiet.test_quiet_star_exact import LETTERS, drawn, gradients, lesson, one_thought, thinker_of

THINKS = {"samples": 2, "length": 3, "join": "mix", "ahead": 2}


def student_of(seed: int = 5, letters: str = LETTERS):
    shape = Scratch(family="gpt2", layers=2, hidden=16, positions=64)
    return make_thinker(Model(tiny=shape), Thinking(), texts=[letters], seed=seed).double().train()


def rows_of_text(lengths=(7, 5)) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 6, n).tolist() for n in lengths]


def asked(method: Unquiet, student, teacher, rows, numbered=(0, 1), epoch: int = 0) -> Lesson:
    views = method.collate([{"main": Layout(Segment("text", row, 1.0))} for row in rows], student.vocab)
    picks = [(epoch, n) for n in numbered]
    world = World(None, (), start=teacher)  # type: ignore[arg-type]
    return method.rollout(student, Lesson(views, len(rows), picks=picks, world=world))


@pytest.fixture(scope="module")
def pair():
    method = QuietStar(**THINKS)
    return thinker_of("gpt2", method), method


def teacher_of(pair, samples: int = 2, keep: int = 3) -> Teacher:
    thinker, method = pair
    return Teacher(Start(thinker, adapters_off=False), method, samples, keep)


def test_the_teacher_says_what_it_predicts(pair):
    """The mixture behind its own thoughts, one thought at a time."""
    thinker, method = pair
    told = teacher_of(pair).told(rows_of_text(), Lesson({}, 2, picks=[(7, 0), (3, 1)]))
    one = method.model_copy(update={"ahead": 1})
    tokens = drawn(thinker, one, lesson(thinker, one)).tokens  # the same texts under the same numbers
    other = 0.0
    for b, ids in enumerate(rows_of_text()):
        assert told[b].nll.shape == (len(ids) - 1,) and told[b].tokens.shape == (len(ids) - 1, 3)
        for i in range(len(ids) - 1):
            each = [one_thought(thinker, one, ids, i, tokens[b, i, t].tolist())[1].exp() for t in (0, 1)]
            assert float((told[b].nll[i] + (sum(each) / 2).log()).detach().abs()) < 1e-10
            other = max(other, float((told[b].nll[i] + each[0].log()).detach().abs()))
    assert other > 1e-4  # the twin: behind one of the two thoughts alone


def test_a_text_is_thought_about_once(pair, monkeypatch):
    calls = []
    real = teaching.ponder
    monkeypatch.setattr(teaching, "ponder", lambda *a, **k: calls.append(1) or real(*a, **k))
    method, student, teacher = Unquiet(teacher=None), student_of(), teacher_of(pair)
    first = asked(method, student, teacher, rows_of_text())
    swapped = asked(method, student, teacher, rows_of_text()[::-1], numbered=(1, 0), epoch=4)
    assert len(calls) == 1
    assert torch.equal(first.extra["nll"], torch.cat([swapped.extra["nll"][4:], swapped.extra["nll"][:4]]))
    asked(method, student, teacher, rows_of_text(), numbered=(0, 2))
    assert len(calls) == 2  # a text that is new


def test_what_is_kept_does_not_depend_on_the_batch(pair):
    rows = rows_of_text((9, 4))
    both = teacher_of(pair).told(rows, Lesson({}, 2, picks=[(0, 0), (0, 1)]))
    alone = teacher_of(pair).told(rows[1:], Lesson({}, 1, picks=[(0, 1)]))
    assert float((both[1].nll - alone[0].nll).abs().max()) < 1e-12


def plain_logits(student, ids):
    return student.model(torch.tensor([ids])).logits[0, :-1]


@pytest.mark.parametrize("top", [3, 1000], ids=["some tokens", "all tokens"])
def test_soft_is_the_divergence(pair, top):
    """Against the sum over the vocabulary, with all further tokens in one where some are kept."""
    method = Unquiet(teacher=None, kind="soft", weight=0.7, nll=0.3, top=top)
    student, teacher = student_of(), teacher_of(pair, keep=top)
    given = asked(method, student, teacher, rows_of_text())
    ours = method.loss(student, given, given.counts()).total
    naive, without, count = torch.zeros(()).double(), torch.zeros(()).double(), 0
    for ids, told in zip(rows_of_text(), teacher.told(rows_of_text(), given)):
        q = plain_logits(student, ids).softmax(-1)
        for i in range(len(ids) - 1):
            p, mine = told.likely[i].exp(), q[i][told.tokens[i]]
            apart = (p * (p / mine).log()).sum()
            without = without + 0.7 * apart
            if top < q.shape[1]:
                apart = apart + (1 - p.sum()) * ((1 - p.sum()) / (1 - mine.sum())).log()
            naive = naive + 0.7 * apart - 0.3 * q[i, ids[i + 1]].log()
            without = without - 0.3 * q[i, ids[i + 1]].log()
            count += 1
    assert float((ours - naive / count).detach().abs()) < 1e-10
    mine, theirs = gradients(student, ours), gradients(student, naive / count)
    assert max(float((mine[name] - theirs[name]).abs().max()) for name in mine) < 1e-10
    if top == 3:  # the twin: what is not kept is forgotten
        assert float((ours - without / count).detach().abs()) > 1e-3


def test_the_published_loss(pair):
    """Reward by the true token, likelihood of the drawn one at temperature 3; the reward carries no gradient."""
    method = Unquiet(teacher=None, kind="published", weight=2.0, nll=0.5)
    student, teacher = student_of(), teacher_of(pair, keep=1)
    given = asked(method, student, teacher, rows_of_text())
    chance = numbers(given, TOKENS)
    loss = method.loss(student, given, given.counts())
    naive, learned, rewarded, count = torch.zeros(()).double(), torch.zeros(()).double(), 0, 0
    for b, (ids, told) in enumerate(zip(rows_of_text(), teacher.told(rows_of_text(), given))):
        logits = plain_logits(student, ids)
        for i in range(len(ids) - 1):
            p = logits[i].softmax(-1)
            nll = -p[ids[i + 1]].log()
            below = p.detach().cumsum(0)
            token = int((below <= float(chance[b, i]) * below[-1]).sum())
            reward = max(0.0, float(told.nll[i] - nll.detach()))
            rewarded += reward > 0
            naive = naive - 2.0 * reward * (logits[i] / TEMPERATURE).log_softmax(-1)[token] + 0.5 * nll
            learned = learned - 2.0 * reward * (logits[i] / TEMPERATURE).log_softmax(-1)[ids[i + 1]] + 0.5 * nll
            count += 1
    assert 0 < rewarded < count
    assert float((loss.total - naive / count).detach().abs()) < 1e-10
    mine, theirs = gradients(student, loss.total), gradients(student, naive / count)
    assert max(float((mine[name] - theirs[name]).abs().max()) for name in mine) < 1e-10
    assert float((loss.total - learned / count).detach().abs()) > 1e-4  # the twin: the true token's likelihood instead


def test_parts_of_a_step_add_up(pair):
    for kind in ("soft", "published"):
        method = Unquiet(teacher=None, kind=kind)
        student, teacher = student_of(), teacher_of(pair)
        both = asked(method, student, teacher, rows_of_text())
        parts = [asked(method, student, teacher, [row], (n,)) for n, row in enumerate(rows_of_text())]
        whole = method.loss(student, both, both.counts()).total
        sums = sum(method.loss(student, part, both.counts()).total for part in parts)
        assert float((whole - sums).detach().abs()) < 1e-12


def test_without_a_teacher_it_is_the_control():
    """The student as it began: no divergence at the start, and it stays what it was while the student learns."""
    method, student = Unquiet(teacher=None, nll=0.0, top=1000), student_of()
    teacher = method.start(student)
    given = asked(method, student, teacher, rows_of_text())
    assert float(method.loss(student, given, given.counts()).total.detach()) < 1e-12
    with torch.no_grad():
        for p in student.parameters():
            p.mul_(1.5)
    assert float(method.loss(student, given, given.counts()).total.detach()) > 1e-3
    fresh = method.start(student)
    moved = asked(method, student, fresh, rows_of_text())
    assert float(method.loss(student, moved, moved.counts()).total.detach()) < 1e-12


def saved(tmp_path, thinker, about) -> str:
    thinker.save_pretrained(tmp_path / "teacher", about)
    return str(tmp_path / "teacher")


def about_of(method) -> dict:
    return {"method": {"name": "quiet_star", **method.model_dump(mode="json")}}


def test_a_saved_teacher_is_itself(pair, tmp_path):
    thinker, method = pair
    path = saved(tmp_path, thinker, about_of(method))
    loaded = Unquiet(teacher=path, samples=2).start(student_of())
    given = Lesson({}, 2, picks=[(0, 0), (0, 1)])
    for ours, theirs in zip(loaded.told(rows_of_text(), given), teacher_of(pair).told(rows_of_text(), given)):
        assert float((ours.nll - theirs.nll).abs().max()) < 1e-12


def test_who_cannot_teach_is_refused(pair, tmp_path):
    thinker, method = pair
    with pytest.raises(ModelError, match=r"no folder .*name a run"):
        Unquiet(teacher=str(tmp_path / "nowhere" / "at" / "all")).start(student_of())
    path = saved(tmp_path, student_of(), {"method": {"name": "plain", **Plain().model_dump()}})
    with pytest.raises(
        ModelError, match=r"method plain, which has no thoughts.*method\.teacher to a run of quiet_star"
    ):
        Unquiet(teacher=path).start(student_of())
    student_of().model.save_pretrained(tmp_path / "bare")
    with pytest.raises(ModelError, match="a plain language model, which has no thoughts"):
        Unquiet(teacher=str(tmp_path / "bare")).start(student_of())
    path = saved(tmp_path, thinker, about_of(method))
    with pytest.raises(
        ModelError, match=r"other tokens than the student.*set|begin with weights of the same tokenizer"
    ):
        Unquiet(teacher=path).start(student_of(letters="ghijk"))


def test_a_row_that_begins_with_a_question(pair):
    """What is not learned is not taught, and the rest is at its own place."""
    method, student, teacher = Unquiet(teacher=None), student_of(), teacher_of(pair)
    row = Encoded("a", (0, 1, 2), ((3,),), (4,), (5, 0))
    views = method.collate([method.layouts(row, student.vocab, 0, None)], student.vocab)
    world = World(None, (), start=teacher)  # type: ignore[arg-type]
    given = method.rollout(student, Lesson(views, 1, picks=[(0, 0)], world=world))
    whole = teacher.told([views["main"].layouts[0].ids], given)[0]
    assert torch.equal(given.extra["nll"], whole.nll[2:])
    assert math.isfinite(float(method.loss(student, given, given.counts()).total.detach()))


def test_from_recipe_to_recipe(tmp_path):
    """A thinker is trained, then a plain model from its weights and its predictions; the chain's table tells what it came to."""
    small = {"task.of.train_rows": 16, "task.of.valid_rows": 4, "task.of.test_rows": 4, "train.steps": 2}
    small |= {"train.batch": 4, "eval.every": None, "train.warmup": 0}
    first = tacit.train("quiet/fast-tiny-1", {**small, "model.tiny.hidden": 16}, out=tmp_path / "thinks")
    begins = {"model.path": str(first), "method.teacher": str(first), "run.after": None}
    run = tacit.train("quiet/fast-ntp-tiny", small | begins, out=tmp_path / "plain")
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert line["kl"] > 0 and line["teacher_nll"] > 0
    assert Thinker.from_pretrained(run).thinking.aside is None
    (run / TEST).write_text(json.dumps(evaluate(run, split="test").summary()))
    assert f"{evaluate(run, split='test').metrics()['nll']:.4f} nats" in table([Run(run)])
    with pytest.raises(FaultyRecipe, match=r"nowhere does not exist; train it first, or set\s+method\.teacher"):
        tacit.train("quiet/fast-ntp-tiny", small | begins | {"method.teacher": "runs/nowhere"}, out=tmp_path / "no")
