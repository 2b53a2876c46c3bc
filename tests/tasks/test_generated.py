"""What every task that makes its examples up promises; the truth of arithmetic, deduction and multiplication."""

import operator
import re
from collections import Counter

import numpy as np
import pytest

from tacit.errors import DataError, TacitError
from tacit.example import Example
from tacit.registry import resolve
from tacit.tasks import TASKS
from tacit.tasks.arithmetic import STEP_SHARES, Arithmetic
from tacit.tasks.base import SPLITS, home
from tacit.tasks.multiplication import Multiplication, digits, home_of
from tacit.tasks.prontoqa import ProntoQA

FEW = {"train_rows": 120, "valid_rows": 40, "test_rows": 40}
SYMBOLIC = ["match2", "match3", "multiplication", "parity", "permutation", "prosqa_symbolic"]
MADE_UP = ["arithmetic", "prontoqa", "prosqa", *SYMBOLIC]


def make(name, **fields):
    return resolve(TASKS, name, "task")(**(FEW | fields))


def test_every_task_resolves_and_documents_its_fields():
    for name in TASKS:
        task = resolve(TASKS, name, "task")
        undocumented = [field for field, info in task.model_fields.items() if not info.description]
        assert not undocumented, (name, undocumented)


@pytest.mark.parametrize("name", MADE_UP)
def test_splits_are_disjoint_and_repeatable(name):
    task = make(name)
    splits = {split: list(task.examples(split)) for split in SPLITS}
    assert [len(splits[split]) for split in SPLITS] == [120, 40, 40]
    questions = [row.question for rows in splits.values() for row in rows]
    ids = [row.id for rows in splits.values() for row in rows]
    assert len(set(questions)) == len(set(ids)) == 200
    assert list(make(name).examples("valid")) == splits["valid"]
    other = {row.question for row in make(name, seed=1).examples("valid")}
    assert len(other & {row.question for row in splits["valid"]}) < 20
    assert not other & {row.question for row in splits["train"]}


@pytest.mark.parametrize("name", MADE_UP)
def test_more_rows_begin_with_the_same_rows(name):
    assert list(make(name, train_rows=30).examples("train")) == list(make(name).examples("train"))[:30]


@pytest.mark.parametrize("name", MADE_UP)
def test_gold_is_right_and_nothing_is_wrong(name):
    task = make(name)
    for example in task.examples("valid"):
        written = f"{' '.join(example.steps)} {task.template.cue} {example.answer}"
        assert task.grade(example, written).correct and task.grade(example, example.answer).correct
        assert not task.grade(example, "").correct and not task.grade(example, task.template.cue).correct


@pytest.mark.parametrize("name", ["prontoqa", "prosqa", "prosqa_symbolic"])
def test_the_other_choice_is_wrong(name):
    task = make(name)
    for example in task.examples("valid"):
        (other,) = [choice for choice in task.choices(example) if choice != example.answer]
        assert not task.grade(example, other).correct


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic_tasks_know_their_words(name):
    task = make(name)
    for example in task.examples("valid"):
        question = task.template.question.replace("{question}", example.question)
        text = f"{question} {' '.join(example.steps)} {task.template.cue} {example.answer}"
        assert set(text.split()) <= set(task.words())


def test_homes_are_shared_out_by_hash():
    counts = Counter(home(f"question {number}") for number in range(16_000))
    assert abs(counts["valid"] - 1000) < 150 and abs(counts["test"] - 1000) < 150
    assert {home(f"question {number}", {"valid": 0.0}) for number in range(100)} == {"train"}


def test_unknown_splits_extractors_and_impossible_sizes_are_refused():
    with pytest.raises(TacitError, match=r"no split 'vlid'; did you mean valid\?"):
        make("arithmetic").examples("vlid")
    with pytest.raises(ValueError, match=r"no extractor 'numbr@1'; did you mean number@1\?"):
        make("arithmetic", extractor="numbr@1")

    class Two(Arithmetic):
        def problem(self, rng):
            return 1, []

        def pose(self, problem, rng):
            return Example(question=f"{rng.integers(2)}?", answer="1")

    with pytest.raises(DataError, match=r"too few questions: found \d of 50 for train; set train_rows lower"):
        Two(train_rows=50).examples("train")


OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def false_steps(steps) -> list[str]:
    """Calculator steps whose result is not what Python makes of them."""
    parts = [re.fullmatch(r"<<(\d+)([-+*/])(\d+)=(\d+)>>", step).groups() for step in steps]
    return [step for step, (a, sign, b, c) in zip(steps, parts) if OPERATORS[sign](int(a), int(b)) != int(c)]


def retold(question: str) -> int:
    """The answer from the words of the story alone."""
    start, *events, _ = re.split(r"(?<=[.?]) ", question)
    (value,) = map(int, re.findall(r"\d+", start))
    for event in events:
        a, *b = map(int, re.findall(r"\d+", event))
        if re.search(r"gives \w+ \d+ more|finds|arrive", event):
            value += a
        elif re.search(r"times as many|grows", event):
            value *= a
        elif re.search(r"splits|keeps only", event):
            value //= a
        elif re.search(r"buys|come", event):
            value += a * b[0]
        elif b:
            value -= a * b[0]
        else:
            value -= a
    return value


def test_arithmetic_is_true():
    for example in Arithmetic(train_rows=400).examples("train"):
        assert not false_steps(example.steps)
        assert example.steps[-1].endswith(f"={example.answer}>>") and int(example.answer) > 0
        assert retold(example.question) == int(example.answer)


def test_twin_wrong_arithmetic_is_noticed():
    assert false_steps(["<<2*3=6>>", "<<6-1=4>>"]) == ["<<6-1=4>>"]
    assert retold("Ada has 12 eggs. Ada gives away 2 of them. How many eggs does Ada have now?") == 10


def far_from(shares, counts) -> bool:
    """Chi-square against the shares beyond its 99.9 % point for 7 degrees of freedom."""
    expected = np.array(shares) / sum(shares) * sum(counts)
    return float(((np.array(counts) - expected) ** 2 / expected).sum()) > 24.32


def test_arithmetic_has_gsm8k_augs_steps():
    rng, task = np.random.default_rng(0), Arithmetic()
    counts = Counter(len(task.pose(task.problem(rng), rng).steps) for _ in range(3000))
    counts = [counts[steps] for steps in range(1, 9)]
    assert not far_from(STEP_SHARES, counts)
    assert far_from((6.4, 31.0, 24.0, 22.0, 11.0, 3.6, 1.4, 0.8), counts)  # the twin: four points moved
    assert all(len(row.steps) == 3 for row in Arithmetic(step_shares=(0, 0, 1), **FEW).examples("test"))


def deduced(question: str) -> str:
    """True or False by following every rule of the words, whatever the steps say."""
    *told, claim = re.split(r"(?<=\.) ", question)
    facts, rules = set(), []
    for sentence in told:
        words = sentence.rstrip(".").split()
        negated = "not" in words
        words = [word for word in words if word not in ("not", "a", "an", "is", "are", "Every", "Each")]
        kind, other = (re.sub(r"(?<=pus)es$", "", word) for word in words)
        if sentence.startswith(("Every", "Each")) or " are " in sentence:
            rules.append((kind.lower(), (other, not negated)))
        else:
            facts.add((other, True))
    for _ in rules:
        facts |= {conclusion for kind, conclusion in rules if (kind, True) in facts}
    assert not {word for word, holds in facts if holds} & {word for word, holds in facts if not holds}
    words = claim.removeprefix("True or false: ").rstrip(".").split()
    if (words[-1], True) not in facts and (words[-1], False) not in facts:
        return "Unknown"
    return str((words[-1], "not" not in words) in facts)


@pytest.mark.parametrize("hops", [1, 5])
def test_deductions_are_true(hops):
    for example in ProntoQA(hops=hops, train_rows=200).examples("train"):
        assert deduced(example.question) == example.answer
        assert len(example.steps) == hops + 1
        facts = [step.split(". ")[0].rstrip(".") for step in example.steps]
        rules = [step.split(". ")[1] for step in example.steps[:-1]]
        assert all(rule in example.question for rule in rules)
        assert facts[0] + "." in example.question and all(fact + "." not in example.question for fact in facts[1:-1])


def test_twin_a_turned_rule_turns_the_answer():
    example = ProntoQA(**FEW).examples("train")[0]
    rule = example.steps[-2].split(". ")[1]
    turned = rule.replace(" not ", " ") if " not " in rule else re.sub(r" (is|are) ", r" \1 not ", rule)
    assert {deduced(example.question.replace(rule, turned)), example.answer} == {"True", "False"}
    assert deduced(example.question.replace(rule, "")) == "Unknown"


def test_claims_are_balanced_and_the_property_is_said_both_ways():
    rows = ProntoQA(train_rows=400).examples("train")
    assert 0.4 < np.mean([row.answer == "True" for row in rows]) < 0.6
    for row in rows:
        context, claim = row.question.split(" True or false: ")
        asked = claim.rstrip(".").split()[-1]
        signs = [" not " in sentence for sentence in context.split(". ") if re.search(rf"\b{asked}\b", sentence)]
        assert sorted(signs) == [False, True]


def undigits(text: str) -> int:
    return int("".join(text.split())[::-1])


WORKED = (
    "9 1 7 3 * 9 4 3 3||1 7 4 3 3 + 0 6 7 8 4 1 ( 1 3 2 2 8 1 ) + 0 0 7 5 1 1 1 ( 1 3 9 7 9 2 1 ) + 0 0 0 7 5 1 1 1"
)


def test_the_worked_example():
    row = Multiplication().row(3719, 3349)
    assert f"{row.question}||{' '.join(row.steps)}" == WORKED
    assert row.answer == "1 3 9 4 5 4 2 1"
    row = Multiplication(left=2, right=2, cot="compact").row(12, 34)
    assert (row.question, row.steps, row.answer) == ("2 1 * 4 3", ("8 4 0", "6 3 0"), "8 0 4 0")


def products_hold(row: Example, cot: str) -> bool:
    """Every number of the row by schoolbook arithmetic, from the question alone."""
    x, y = map(undigits, row.question.split(" * "))
    shift = 10 if cot == "running" else 1
    terms = [x * int(digit) * shift**place for place, digit in enumerate(str(y)[::-1])]
    total, kept = 0, undigits(row.answer) == x * y
    for place, (step, term) in enumerate(zip(row.steps, terms, strict=True)):
        total += term
        numbers = [undigits(part) for part in re.findall(r"\d(?: \d)*", step)]
        inner = cot == "running" and 0 < place < len(terms) - 1
        kept &= numbers == ([term, total] if inner else [term])
    return kept


SIZES = [(1, 1), (2, 2), (3, 2), (2, 4), (4, 4), (12, 12)]


@pytest.mark.parametrize("cot", ["running", "compact"])
@pytest.mark.parametrize(("left", "right"), SIZES)
def test_multiplication_is_true(left, right, cot):
    rows = Multiplication(left=left, right=right, cot=cot, train_rows=50).examples("train")
    assert all(products_hold(row, cot) for row in rows)
    assert len({len(" ".join([row.question, *row.steps, row.answer])) for row in rows}) == 1
    x, y = map(undigits, rows[0].question.split(" * "))
    assert (len(str(x)), len(str(y))) == (left, right)


def test_twin_a_wrong_digit_is_noticed():
    row = Multiplication().row(3719, 3349)
    wrong = row.steps[1].replace("8 4", "4 8")
    assert not products_hold(Example("", row.question, (row.steps[0], wrong, *row.steps[2:]), row.answer), "running")


@pytest.mark.parametrize(("size", "symbols"), [(2, 8), (3, 24), (4, 46), (5, 74), (9, 246), (11, 368), (20, 1214)])
def test_published_lengths(size, symbols):
    row = Multiplication(left=size, right=size).row(10**size - 1, 10**size - 1)
    assert len(" ".join(row.steps).split()) == symbols


def test_a_sixteenth_is_held_out():
    task = Multiplication(left=2, right=2, train_rows=10_000, valid_rows=10_000, test_rows=10_000)
    pairs = {
        split: [tuple(map(undigits, row.question.split(" * "))) for row in task.examples(split)] for split in SPLITS
    }
    assert sum(map(len, pairs.values())) == len({pair for split in pairs.values() for pair in split}) == 8100
    held_out = {(x, y) for x in range(10, 100) for y in range(10, 100) if (7919 * x + 104729 * y) % 16 == 0}
    assert set(pairs["valid"]) | set(pairs["test"]) == held_out
    assert min(len(pairs["valid"]), len(pairs["test"])) > 240
    assert all(home_of(*pair) == split for split in SPLITS for pair in pairs[split])


# The first published valid rows of each size.
PUBLISHED = {4: ("5 6 3 2 * 7 4 3 4", "6 9 1 5 * 6 4 4 7"), 9: ("3 5 4 7 2 9 5 0 1 * 7 6 3 6 4 5 2 5 3",)}


@pytest.mark.parametrize("size", PUBLISHED)
def test_published_pairs_come_in_the_published_order(size):
    rows = Multiplication(left=size, right=size, published=True).examples("valid")
    assert tuple(row.question for row in rows[: len(PUBLISHED[size])]) == PUBLISHED[size]
    assert len(rows) == 1000
    drawn = Multiplication(left=size, right=size).examples("valid")
    assert drawn[0].question != PUBLISHED[size][0]  # the twin: our own draw is another


def test_published_pairs_exist_for_some_sizes_only():
    with pytest.raises(ValueError, match="not 2×2; set published: false"):
        Multiplication(left=2, right=2, published=True)


def test_digits_are_least_significant_first():
    assert digits(120, 5) == "0 2 1 0 0" and undigits("0 2 1 0 0") == 120


def test_a_small_table_may_be_held_out_whole():
    """Twin: halves share no pair, and no part is ever trained on."""
    halves, whole = (
        {s: {e.question for e in Multiplication(left=2, right=2, held_out=h).examples(s)} for s in SPLITS}
        for h in ("halved", "whole")
    )
    assert whole["valid"] == whole["test"] == halves["valid"] | halves["test"]
    assert not halves["valid"] & halves["test"]
    assert whole["train"] == halves["train"] and not whole["train"] & whole["valid"]
    assert len(whole["valid"]) == sum((7919 * x + 104729 * y) % 16 == 0 for x in range(10, 100) for y in range(10, 100))
