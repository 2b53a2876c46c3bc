"""Likelihoods of right answers against the model alone: logits of whole texts, renormalised by hand."""

import json
import math
import string

import pytest
import torch

import tacit.evaluate.likelihoods as likelihoods
from tacit.batch import Batch
from tacit.cli import main
from tacit.engine.sampling import Sampling
from tacit.errors import DataError
from tacit.evaluate import KEYS, evaluate
from tacit.evaluate.likelihoods import NUMBERS, evaluate_answers
from tacit.layout import Layout, Segment, targets
from tacit.methods.coconut import Coconut
from tacit.methods.cot import Cot
from tacit.models.making import thinker_from_recipe
from tacit.models.scratch import Scratch, build
from tacit.models.tokenizers import bpe_tokenizer, character_tokenizer
from tacit.models.tokens import add_tokens
from tacit.recipe import load
from tacit.recipe.training import Eval
from tacit.tasks.choice import Choice
from tacit.tasks.gsm8k import Gsm8k
from tacit.thinker import Thinker
from tacit.train.session import evaluation

ROWS = [
    {"question": "Where is it dry?", "choices": ["sea", "a sandy dune", "rain"], "answer": "B"},
    {"question": "What is one and two?", "choices": ["3", "12", "1", "21"], "answer": 0},
    {"question": "Who barks", "choices": ["the old cat", "the dog"], "answer": 1, "subject": "pets"},
]
MATHS = [
    {"question": "2+2?", "steps": [], "answer": "4"},
    {"question": "Ten times ten times 12?", "steps": [], "answer": "1,200"},
]


def make(tokenizer=None, seed=0) -> Thinker:
    tokenizer = tokenizer or character_tokenizer([string.printable])
    vocab = add_tokens(tokenizer)
    scratch = Scratch(family="gpt2", layers=2, hidden=32, heads=4, positions=256, init_std=0.3)
    model = build(scratch, len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=seed)
    return Thinker(model.double(), tokenizer, vocab).eval()


@pytest.fixture(scope="module")
def thinker():
    return make()


@pytest.fixture
def task(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return Choice(test=str(file))


@pytest.fixture
def maths(tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in MATHS))
    return Gsm8k(path=str(tmp_path), template="asked")


def found(thinker, task, method=None, batch=2, split="test"):
    examples = list(task.examples(split))
    report = evaluate_answers(thinker, method or Cot(), task, task.template, examples, Eval(batch=batch))
    assert {name for name in report.numbers if "/" not in name} <= {*NUMBERS}
    return report


# --- by hand ---------------------------------------------------------------------------------------------------------


def lines(thinker, prompt: str, answer: str) -> tuple[torch.Tensor, list[int]]:
    """Log-probabilities where each character of the answer is predicted, from the model alone, and the characters' ids."""
    tokenizer = thinker.tokenizer
    before, after = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, answer))
    logits = thinker.model(torch.tensor([before + after])).logits[0].detach().log_softmax(-1)
    return logits[len(before) - 1 : -1], after


def nats(thinker, prompt: str, answer: str) -> list[float]:
    told, ids = lines(thinker, prompt, answer)
    return [float(told[n, token]) for n, token in enumerate(ids)]


def among(thinker, prompt: str, answer: str, allowed: str) -> tuple[float, bool]:
    """The product of an answer's probabilities among allowed characters, and whether each was the likeliest of these."""
    told, ids = lines(thinker, prompt, answer)
    open_ = thinker.tokenizer(allowed, add_special_tokens=False)["input_ids"]
    shares = told.exp()[:, open_]
    product = math.prod(float(told[n, token].exp() / shares[n].sum()) for n, token in enumerate(ids))
    return product, [open_[int(n)] for n in shares.argmax(-1)] == ids


def mean(values):
    values = list(values)
    return math.fsum(values) / len(values)


def expected(thinker, rows=ROWS):
    told = {name: [] for name in ("nats", "expected", "argmax", "choice", "words", "words_per_token")}
    for row in rows:
        letters, choices = "ABCD"[: len(row["choices"])], row["choices"]
        right = row["answer"] if isinstance(row["answer"], int) else letters.index(row["answer"])
        listed = "".join(f"\n({letter}) {text}" for letter, text in zip(letters, choices))
        prompt = f"Q: {row['question']}{listed}\nA: "
        told["nats"] += nats(thinker, prompt, letters[right])
        product, best = among(thinker, prompt, letters[right], letters + "\n")
        each = [nats(thinker, prompt, letter)[0] for letter in letters]
        of_words = [nats(thinker, f"Q: {row['question']}\nA:", f" {text}") for text in choices]
        told["expected"].append(product)
        told["argmax"].append(best)
        told["choice"].append(each.index(max(each)) == right)
        sums, means = [sum(one) for one in of_words], [mean(one) for one in of_words]
        told["words"].append(sums.index(max(sums)) == right)
        told["words_per_token"].append(means.index(max(means)) == right)
    return told


# --- choices ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 7])
def test_choices_by_hand(thinker, task, batch):
    report, told = found(thinker, task, batch=batch), expected(thinker)
    numbers = report.numbers
    assert numbers["nll"] == pytest.approx(-mean(told["nats"]), rel=1e-9)
    assert numbers["answer_logprob"] == pytest.approx(mean(told["nats"]), rel=1e-9)
    assert numbers["expected_accuracy"] == pytest.approx(mean(told["expected"]), rel=1e-9)
    assert [row["argmax"] for row in report.rows] == told["argmax"]
    assert [row["correct"] for row in report.rows] == told["choice"]
    assert [row["words"] for row in report.rows] == told["words"]
    assert [row["words_per_token"] for row in report.rows] == told["words_per_token"]
    assert numbers["accuracy"] == numbers["choice_accuracy"] == mean(told["choice"])
    assert numbers["words_accuracy"] == mean(told["words"]) and numbers["unreachable"] == 0
    assert numbers["accuracy/pets"] == told["choice"][2]


def test_many_models_find_many_answers(tmp_path, task):
    """The verdicts of the test above are not all the same over a few models, so agreement says something."""
    verdicts = set()
    for seed in range(6):
        torch.manual_seed(seed)
        thinker = make()
        with torch.no_grad():
            for weight in thinker.parameters():
                weight += 0.3 * torch.randn_like(weight)
        report, told = found(thinker, task), expected(thinker)
        assert [row["correct"] for row in report.rows] == told["choice"]
        assert [(row["words"], row["words_per_token"]) for row in report.rows] == list(
            zip(told["words"], told["words_per_token"])
        )
        verdicts |= set(zip(told["choice"], told["argmax"], told["words"], told["words_per_token"]))
    assert len(verdicts) > 3


def test_the_batch_changes_nothing(thinker, task):
    one, seven = found(thinker, task, batch=1), found(thinker, task, batch=7)
    assert one.numbers == pytest.approx(seven.numbers, rel=1e-12)


def test_twin_without_renormalisation_the_published_accuracy_is_another(thinker, task, monkeypatch):
    whole = likelihoods.tell
    monkeypatch.setattr(likelihoods, "tell", lambda lines, ids, allowed: whole(lines, ids, None))
    assert found(thinker, task).numbers["expected_accuracy"] < 0.5 * mean(expected(thinker)["expected"])


def test_twin_labels_shifted_by_one_are_other_numbers(thinker, task):
    class Shifted(Cot):
        def predict(self, thinker, rows, batch):
            late = [
                Layout(*row.segments[:-1], Segment("read", row.segments[-1].ids[:1]), row.segments[-1]) for row in rows
            ]
            return super().predict(thinker, late, batch)

    right, shifted = found(thinker, task).numbers, found(thinker, task, Shifted()).numbers
    assert abs(shifted["nll"] - right["nll"]) > 1e-3
    assert abs(shifted["expected_accuracy"] - right["expected_accuracy"]) > 1e-3


def test_a_method_of_its_own_predicts_in_its_own_way(thinker, task):
    """The hook is asked for letters and for words: a method that knows the first choice chooses it everywhere."""

    class Certain(Cot):
        def predict(self, thinker, rows, batch):
            first = thinker.tokenizer("A", add_special_tokens=False)["input_ids"][0]
            for row in rows:
                logits = torch.zeros(len(targets(row)), thinker.vocabulary)
                logits[:, first] = 9.0
                yield logits.log_softmax(-1)

    report = found(thinker, task, Certain())
    assert [row["extracted"] for row in report.rows] == ["A", "A", "A"] and report.numbers["accuracy"] == pytest.approx(
        1 / 3
    )


def test_tokens_of_several_letters(task):
    """A tokenizer that takes ` B` for one token: the same definitions, by its own tokens."""
    texts = ["Q: A: (A) (B) (C) (D) A B C D\nA: A\nA: B\nA: C\nA: D " * 9]
    thinker = make(bpe_tokenizer(texts, 300))
    letters = [thinker.tokenizer(f" {letter}", add_special_tokens=False)["input_ids"] for letter in "ABC"]
    assert all(len(ids) == 1 for ids in letters)
    examples = list(task.examples("test"))
    report = evaluate_answers(thinker, Cot(), task, task.template, examples, Eval(batch=3))
    prompt = thinker.tokenizer(f"Q: {examples[0].question}\nA:", add_special_tokens=False)["input_ids"]
    told = thinker.model(torch.tensor([prompt])).logits[0, -1].detach().softmax(-1)
    line_end = thinker.tokenizer("\n", add_special_tokens=False)["input_ids"]
    allowed = [ids[0] for ids in letters] + line_end
    assert report.rows[0]["expected"] == pytest.approx(float(told[allowed[1]] / told[allowed].sum()), rel=1e-9)


# --- open questions --------------------------------------------------------------------------------------------------


def test_numbers_by_hand(thinker, maths):
    told = [
        among(thinker, f"Q: {row['question']}\nA: ", row["answer"].replace(",", ""), string.digits + "\n")
        for row in MATHS
    ]
    report = found(thinker, maths)
    assert report.numbers["expected_accuracy"] == pytest.approx(mean(one for one, _ in told), rel=1e-9)
    assert [row["correct"] for row in report.rows] == [best for _, best in told]
    assert [len(row["logprobs"]) for row in report.rows] == [1, 4] and "choice_accuracy" not in report.numbers


def test_an_answer_with_a_letter_cannot_be_reached(thinker, tmp_path):
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": "2?", "steps": [], "answer": "-4"}) + "\n")
    report = found(thinker, Gsm8k(path=str(tmp_path), template="asked"))
    assert (report.numbers["unreachable"], report.numbers["expected_accuracy"], report.numbers["accuracy"]) == (1, 0, 0)


# --- other methods ---------------------------------------------------------------------------------------------------


def test_behind_silent_steps(thinker, task):
    """Silent steps of the prompt are walked: as the engine scores the finished row, and not as without them."""
    method = Coconut(max_stage=2)
    report = found(thinker, task, method)
    vocab, example = thinker.vocab, next(iter(task.examples("test")))

    def ids(text):
        return thinker.tokenizer(text, add_special_tokens=False)["input_ids"]

    prompt = Layout(Segment("question", ids(f"Q: {example.question}\nA:")), *vocab.thought(2), Segment("cue", ids(" ")))
    loss = thinker.loss(Batch.of([prompt + Layout(Segment("answer", ids("B"), 1.0))], vocab))
    assert report.rows[0]["logprobs"] == pytest.approx([-loss.item()], rel=1e-9)
    assert report.rows[0]["thoughts"] == [{"kind": "silent", "length": 2}]
    assert report.numbers["nll"] != pytest.approx(found(thinker, task).numbers["nll"], rel=1e-6)


class Deciding(Cot):
    """Opens a thought and leaves it to the model when to close it."""

    def prompt(self, ex, vocab, stage=None):
        return super().prompt(ex, vocab) + Layout(vocab.thought(0)[0])


def test_a_model_that_decides_itself_thinks_first(task):
    """What stands in front of the answer is what the sampler wrote there. Twin: another cap, other thoughts."""
    thinker = make(seed=1)  # thinks before some answers and not before others
    thinker.thinking = thinker.thinking.model_copy(update={"confine": True, "max_latents": 3})
    rows = found(thinker, task, Deciding()).rows
    rule = Sampling(stop_tokens=(thinker.vocab.close,))
    for row, example in zip(rows, task.examples("test")):
        prompt = thinker.tokenizer(f"Q: {example.question}\nA:", add_special_tokens=False)["input_ids"]
        [done] = thinker.complete([Layout(Segment("question", prompt), thinker.vocab.thought(0)[0])], rule)
        assert row["thoughts"] == ([{"kind": "silent", "length": done.latents}] if done.latents else [])
    thinker.thinking = thinker.thinking.model_copy(update={"max_latents": 0})
    assert [row["thoughts"] for row in found(thinker, task, Deciding()).rows] != [row["thoughts"] for row in rows]


def test_training_measures_it_too(tmp_path):
    recipe = load("arithmetic/no_cot-tiny", {"eval.check": "likelihood", "eval.limit": 4}).recipe
    examples = list(recipe.resolved_task().examples("train"))[:20]
    thinker = thinker_from_recipe(recipe, examples)
    numbers = evaluation(recipe, tmp_path)(thinker, 0, 1)
    assert numbers["n"] == 4 and numbers["nll"] > 0 and len((tmp_path / "samples.jsonl").read_text().splitlines()) == 4


# --- as a user meets it ----------------------------------------------------------------------------------------------


def test_what_scripts_parse_is_there(thinker, task):
    summary = evaluate(thinker, task, split="test", check="likelihood").summary()
    assert set(KEYS) <= set(summary) and summary["flops"] is None
    assert (summary["n"], summary["extractor"], summary["task"]) == (3, "likelihood", "choice")


def test_the_command(thinker, task, tmp_path, capsys):
    thinker.save_pretrained(tmp_path / "model")
    words = ["eval", tmp_path / "model", "--task", "choice", f"task.test={task.test}", "--split", "test"]
    with pytest.raises(SystemExit) as caught:
        main(
            [
                *map(str, words),
                "--check",
                "likelihood",
                "--json",
                str(tmp_path / "n.json"),
                "--rows",
                str(tmp_path / "r.jsonl"),
            ]
        )
    assert not caught.value.code and "expected_accuracy" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["expected_accuracy"] == pytest.approx(mean(expected(thinker)["expected"]), rel=1e-4)
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [row["gold"] for row in rows] == ["B", "A", "B"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--task", "choice"], "set path"),
        (["--task", "choice", "task.tset=x"], "task choice has no field tset; did you mean test?"),
        (["--task", "choice", "task.room=3"], "task choice has no field room, which belongs to layered"),
        (["--task", "choice", "train.lr=1"], "train.lr is no field of a task"),
        (["task.test=x"], "does not name one"),
        (["--task", "choice", "task.test"], "task.test=VALUE"),
        (["--task", "choice", "task.test={file}", "--split", "test", "--check", "likelihod"], "eval.check 'likelihod'"),
        (
            ["--task", "choice", "task.test={file}", "--split", "test", "--check", "likelihood", "--swap"],
            "leave one out",
        ),
    ],
)
def test_mistakes_are_one_line(thinker, task, tmp_path, capsys, words, reason):
    thinker.save_pretrained(tmp_path / "model")
    with pytest.raises(SystemExit) as caught:
        main(["eval", str(tmp_path / "model"), *[word.format(file=task.test) for word in words]])
    assert caught.value.code == 1 and reason in capsys.readouterr().err


def test_texts_are_refused(thinker, task):
    with pytest.raises(DataError, match="no examples"):
        evaluate_answers(thinker, Cot(), task, task.template, [], Eval())
