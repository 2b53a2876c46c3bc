"""Prompts as data, the guess of when to think, and runs from a recipe to a report; what cannot work is refused."""

import pytest
import torch
from pydantic import ValidationError

import tacit
from tacit.errors import DataError, ModelError
from tacit.evaluate import evaluate
from tacit.methods.prompted import Prompted
from tacit.quiet.lm.walk import read_text
from tacit.quiet.prompted.deciding import Deciding, by_kind, guess, kind, means_by_kind, wanted
from tacit.quiet.prompted.learning import OF_THOUGHTS
from tacit.quiet.prompted.prompts import in_ids, load, names
from tacit.study.probes.prefaces import probe_prefaces
from tacit.vocab import CLOSE, OPEN
from tests.quiet.test_prompted_exact import PREFACE, lesson, made, preface  # noqa: F401  (a fixture)

SMALL = {"task.of.train_rows": 16, "task.of.valid_rows": 4, "task.of.test_rows": 4, "train.steps": 2, "train.batch": 4}
SMALL |= {"model.tiny.hidden": 16, "eval.every": None, "train.warmup": 0, "method.samples": 2, "method.longest": 3}


# -- prompts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_every_variant_is_complete(name):
    prompt = load(name)
    prompt.check(name, 10)
    written = prompt.written()
    thoughts = [one.thought for one in (*prompt.scenarios, *prompt.examples)]
    blocks = len(thoughts) + prompt.explanation.count(f"{OPEN}{{null_thought}}")
    assert f"{OPEN}{prompt.null_thought}{CLOSE}" in written
    assert written.count(f"{OPEN}{prompt.null_thought}{CLOSE}") == thoughts.count(None) + blocks - len(thoughts)
    assert written.isascii(), "models from scratch have few characters"
    assert "{" not in written


def test_the_full_prompt_says_what_it_must():
    prompt = load("full")
    for word in ("Token.", "Forward pass.", "Why more passes help.", "Null thought."):
        assert word in prompt.explanation
    assert {one.kind for one in prompt.scenarios} == {"multiple choice", "verse", "prose", "product"}
    assert [one.thought is not None for one in prompt.scenarios] == [True, True, False, False]
    assert {"sum", "digits", "before a quotation", "inside a quotation", "rare idiom", "commonsense question"} <= {
        one.kind for one in prompt.examples
    }
    assert all(one.thought is None for one in prompt.examples if one.kind.startswith("inside"))


def test_the_marks_of_a_prompt_are_the_marks(preface):  # noqa: F811
    method, thinker = made(preface)
    words = in_ids(method.preface, False, thinker)
    assert words.prompt.count(thinker.vocab.open) == words.prompt.count(thinker.vocab.close) == 2
    assert thinker.tokenizer.decode(list(words.prompt)) == load(method.preface).written()


def test_a_prompt_as_a_message(preface):  # noqa: F811
    method, thinker = made(preface)
    thinker.tokenizer.chat_template = "{% for m in messages %}f{{ m['content'] }}e{% endfor %}bb"
    words = in_ids(method.preface, True, thinker)
    said = load(method.preface).written().strip()
    assert thinker.tokenizer.decode(list(words.prompt)) == f"f{said}ebb"
    assert words.null == in_ids(method.preface, False, thinker).null
    thinker.tokenizer.chat_template = None
    with pytest.raises(ModelError, match="chat template"):
        in_ids(method.preface, True, thinker)


FAULTY = {
    "needs a null thought.*add a line such as": (PREFACE.replace("null_thought: ff", ""), 2),
    r"has 2 annotated examples and method.annotations asks for 10.*set method.annotations: 2": (PREFACE, 10),
    "are with a thought, so nothing shows when to think": (PREFACE.replace("after: a}", "after: a, thought: b}"), 2),
    "contains </think>": (PREFACE.replace("cde", '"c</think>d"'), 2),
    "no such field; did you mean examples": (PREFACE.replace("examples:", "example:"), 0),
    "cannot be read as YAML": ("examples: [", 0),
    "got list": ("- a", 0),
}


@pytest.mark.parametrize("sentence", FAULTY)
def test_faulty_files_are_refused(sentence, tmp_path):
    text, annotations = FAULTY[sentence]
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValidationError, match=sentence):
        Prompted(preface=str(file), annotations=annotations)


REFUSED = {
    r"there is no prompt called 'ful'; did you mean full\?": {"preface": "ful"},
    "set places to their number": {"places": None},
    "no other of its place": {"samples": 1, "objective": {"baseline": "loo"}},
    "there is none; set preface": {"preface": None, "chat": True},
    "nothing else would be learned": {"cast": {"base": "fixed"}},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused(sentence):
    with pytest.raises(ValidationError, match=sentence):
        Prompted(**REFUSED[sentence])


def test_more_positions_than_there_are(preface):  # noqa: F811
    method, thinker = made(preface, longest=100)
    with pytest.raises(DataError, match=r"come to 1\d\d positions, and this model has 128. Set method.longest lower"):
        method.rollout(thinker, lesson(thinker, method))


# -- when to think ------------------------------------------------------------------------------------------------------


def test_kinds_of_tokens():
    table = [" the", "The", "re", "7", " 42", ",", " (", "\n", " ", "▁und", "'s"]

    class Pieces:
        def convert_ids_to_tokens(self, token):
            return table[token]

        def decode(self, ids):
            return table[ids[0]].lstrip("▁")

    def after(before: str, token: str) -> str:
        return kind(Pieces(), table.index(before), table.index(token))

    assert after(",", " the") == after(" ", "re") == after("\n", "The") == after("re", "▁und") == "starts"
    assert after(" the", "re") == "inside"
    assert after(" the", "7") == after(" the", " 42") == "digits"
    assert after(" the", ",") == after(" the", " (") == after(" the", "'s") == "punctuation"
    assert after(" the", "\n") == after(" the", " ") == "blanks"


def test_shares_by_kind():
    weight, which = torch.tensor([[1.0, 2.0, 1.0]]), torch.tensor([[0, 0, 1]])
    sums = by_kind("thinks", weight, which, torch.tensor([[True, False, True]]))
    found = means_by_kind({name: float(value) for name, value in sums.items()}, ("thinks",))
    assert found == {"thinks_digits": pytest.approx(1 / 3), "thinks_punctuation": 1.0}


def test_a_planted_gain_is_learned_and_decided_by(preface):  # noqa: F811
    """Thoughts are worth half a nat behind one letter and cost as much elsewhere. The guess finds that, its input unchanged."""
    deciding = Deciding(cost=0.1)
    method, thinker = made(preface, "qwen2", decide=deciding)
    given = lesson(thinker, method, lengths=(30, 30))
    ids = given.views["main"].ids[:, :-1]
    states = read_text(thinker, given.views["main"].ids).hidden
    planted = torch.where(ids == ids[0, 0], 0.5, -0.5).double()
    optimizer = torch.optim.Adam(thinker.aside.guess.parameters(), lr=0.05)
    assert not bool(wanted(deciding, thinker, states, None).any())  # nothing pays before something was found
    for _ in range(300):
        loss = ((guess(thinker, states) - planted) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(wanted(deciding, thinker, states, None), planted > 0)
    assert all(p.grad is None for name, p in thinker.named_parameters() if "guess" not in name)
    dear = wanted(deciding.model_copy(update={"cost": 0.6}), thinker, states, None)
    assert not bool(dear.any())  # what costs more than it is worth


def test_a_step_fits_the_guess_to_what_was_found(preface):  # noqa: F811
    method, thinker = made(preface, decide={"explore": 1.0})
    given = method.rollout(thinker, lesson(thinker, method))
    first = method.loss(thinker, given, given.counts())
    first.total.backward()
    layer = thinker.aside.guess
    found = first.parts["gain"] / first.parts["thinks"]
    assert float(layer.bias.grad) * float(found) < 0  # it moves towards the mean gain
    plain = method.model_copy(update={"decide": None})
    rest = plain.loss(thinker, given, given.counts()).total
    assert float((first.total - rest).detach()) == pytest.approx(float(first.parts["guess"]) / given.counts()["main"])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_exploration_keeps_its_share(preface, share):  # noqa: F811
    """While nothing seems to pay, thoughts are tried at that share of places, and nowhere without exploration."""
    method, thinker = made(preface, decide={"explore": share}, places=20, samples=1, longest=1)
    counts = torch.zeros(2)
    for seed in range(5):
        given = lesson(thinker, method, lengths=(21, 21, 21, 21))
        given.seed = seed
        acted = method.rollout(thinker, given).extra["acted"]
        counts += torch.tensor([acted.think.sum(), (acted.places.weight > 0).sum()])
    thought, places = counts.tolist()
    assert abs(thought - share * places) <= 4 * (share * (1 - share) * places) ** 0.5
    torch.nn.init.constant_(thinker.aside.guess.bias, 1.0)  # where all seems to pay, all is thought about
    assert bool(method.rollout(thinker, given).extra["acted"].think.all())


def test_places_without_thoughts_learn_from_the_null_thought(preface):  # noqa: F811
    method, thinker = made(preface, decide={"explore": 0.0})
    given = method.rollout(thinker, lesson(thinker, method))
    assert not bool(given.extra["acted"].think.any())
    loss = method.loss(thinker, given, given.counts())
    assert float((loss.parts["nll"] - loss.parts["null_nll"]).abs()) < 1e-12
    loss.total.backward()
    assert any(bool(p.grad.any()) for p in thinker.model.parameters() if p.grad is not None)
    told = method.summary({name: float(value) for name, value in loss.parts.items()})
    assert told["thinks"] == 0 and not set(OF_THOUGHTS) & set(told)


# -- runs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cast", [{}, {"base": "fixed", "reasoner": "adapter", "interpreter": "adapter", "rank": 2}])
def test_from_a_recipe_to_a_report(tmp_path, cast):
    run = tacit.train("quiet/prompted-tiny", SMALL | {"method.cast": cast}, out=tmp_path / "run")
    report = evaluate(run).metrics()
    assert {"nll", "null_nll", "base_nll", "used", "helps", "gain", "share", "gain_digits", "share_digits"} <= set(
        report
    )
    assert report["gain"] == pytest.approx(report["null_nll"] - report["nll"])
    assert report["blind_gain"] == pytest.approx(report["share"] * report["gain"])
    assert report == pytest.approx(evaluate(run).metrics())
    file, lines = probe_prefaces(run, ["sums", "none"], limit=4)
    assert [line["preface"] for line in lines] == ["sums", "none"] and file.is_file()
    assert lines[0]["nll"] == pytest.approx(report["nll"]) and lines[0]["base_nll"] == lines[1]["base_nll"]
    assert lines[0]["null_nll"] != lines[1]["null_nll"]


def test_prompts_before_a_model_that_was_not_trained(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(
        "extends: quiet/prompted-tiny\nmodel: {tiny: {hidden: 16}}\nmethod: {longest: 2}\n", encoding="utf-8"
    )
    written, [line] = probe_prefaces(str(file), ["sums"], limit=2)
    assert written is None and line["thought_tokens"] > 1
    with pytest.raises(DataError, match="no prompt called 'sum'; did you mean sums"):
        probe_prefaces(str(file), ["none", "sum"], limit=2)
    with pytest.raises(ModelError, match="take a run or a recipe of method prompted"):
        probe_prefaces("quiet/star-tiny", ["sums"], limit=2)


def test_with_lora(tmp_path):
    run = tacit.train("quiet/prompted-tiny", SMALL | {"model.lora": {"r": 2}}, out=tmp_path / "run")
    assert evaluate(run).metrics()["nll"] > 0
