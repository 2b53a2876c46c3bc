"""How likely right answers are, read teacher-forced behind the prompt: nothing is decoded, so a model that was never trained to
answer can be measured too.

| number | what it is |
|---|---|
| `nll`, `answer_logprob` | nats of an answer's token, among the whole vocabulary; log-probability of a whole answer |
| `expected_accuracy` | the published "accuracy": the product of the probabilities of an answer's tokens among allowed ones |
| `argmax_accuracy` | whether each token of the answer is the likeliest allowed one |
| `choice_accuracy` | whether the right choice is the likeliest of those on offer, by its letter |
| `words_accuracy` | the same by the words of the choices, behind the question alone |
| `words_accuracy_per_token` | the same by the mean over a choice's tokens instead of the sum |
| `unreachable` | share of answers with a token that is not allowed, which count as wrong |

Allowed are the letters on offer, or what answers to open questions consist of (digits), and the end of a line. Where neither is
known, only likelihoods are told. Shapes: n tokens of an answer, V vocabulary.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tacit.engine.complete import Completion
from tacit.engine.dropout import without_dropout
from tacit.engine.sampling import Sampling
from tacit.errors import DataError
from tacit.evaluate.account import account, ends
from tacit.evaluate.choices import announced, before_answer
from tacit.evaluate.ranks import gathered, share
from tacit.evaluate.report import accuracy_error
from tacit.evaluate.split import check_questions, task_name, with_latents
from tacit.evaluate.texts import Likelihood
from tacit.example import Encoded, Example, Template, encode
from tacit.layout import Layout, Segment
from tacit.methods.base import Method
from tacit.tasks.base import Task

Ids = tuple[int, ...]
NUMBERS = (
    "accuracy", "stderr", "n", "correct", "answer_tokens_mean", "nll", "answer_logprob", "expected_accuracy",
    "argmax_accuracy", "words_accuracy", "words_accuracy_per_token", "choice_accuracy", "unreachable",
)  # fmt: skip
"""All that `numbers` may tell beside `accuracy/KIND`."""


class Spelling:
    """What each token of a tokenizer is as text."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer

    @cached_property
    def texts(self) -> list[str]:
        each = [[token] for token in range(len(self.tokenizer))]
        return self.tokenizer.batch_decode(each, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    @cached_property
    def line_ends(self) -> Ids:
        return tuple(token for token, text in enumerate(self.texts) if text == "\n")

    def made_of(self, characters: str) -> Ids:
        """Tokens that consist of these characters, with or without a blank around them."""
        return tuple(n for n, text in enumerate(self.texts) if text.strip() and set(text.strip()) <= set(characters))

    def split_blank(self, ids: Ids) -> tuple[Ids, Ids]:
        """The blanks that an answer begins with, which say nothing about it, and the rest."""
        count = next((n for n, token in enumerate(ids) if self.texts[token].strip()), 0)
        return ids[:count], ids[count:]


class Told(NamedTuple):
    """What a model said of one answer."""

    logprobs: list[float]
    """Of its tokens."""
    allowed: float
    """The product of their probabilities among allowed tokens; 0 where one of them is not allowed."""
    likeliest: bool
    """Whether each of them is the likeliest allowed one."""


@dataclass
class Asked:
    """Answers of which one is right, all behind the same words."""

    before: Layout
    answers: list[tuple[Ids, Ids]]
    """The blanks in front of each, and its tokens."""
    allowed: Ids | None
    told: dict[int, Told] = field(default_factory=dict)

    def rows(self) -> list[tuple[Layout, list[int]]]:
        """What is to be read, and which answers that tells of: answers that differ in their last token share a row."""
        groups: dict[tuple[Ids, Ids], list[int]] = {}
        for number, (blank, ids) in enumerate(self.answers):
            groups.setdefault((blank, ids[:-1]), []).append(number)
        found = []
        for (blank, _), members in groups.items():
            said = Segment("answer", self.answers[members[0]][1], 1.0)
            found.append((self.before + Layout(Segment("cue", blank), said), members))
        return found

    def hear(self, lines: Tensor, members: list[int]) -> None:
        """Take in the (n, V) log-probabilities of a row."""
        for number in members:
            self.told[number] = tell(lines, self.answers[number][1], self.allowed)

    def likeliest(self, per_token: bool = False) -> int:
        """The answer that the model finds likeliest."""
        sums = [math.fsum(self.told[n].logprobs) for n in range(len(self.answers))]
        if per_token:
            sums = [total / len(self.told[n].logprobs) for n, total in enumerate(sums)]
        return sums.index(max(sums))


def tell(lines: Tensor, ids: Ids, allowed: Ids | None) -> Told:
    """What (n, V) log-probabilities say of the n tokens of an answer."""
    lines = lines.double()
    wanted = torch.tensor(ids, device=lines.device)
    each = lines.gather(1, wanted[:, None])[:, 0]
    if allowed is None:
        return Told(each.tolist(), math.exp(float(each.sum())), bool((lines.argmax(1) == wanted).all()))
    choice = torch.tensor(allowed, device=lines.device)
    open_ = lines[:, choice]
    reachable = set(ids) <= set(allowed)
    product = math.exp(float((each - open_.logsumexp(1)).sum())) if reachable else 0.0
    return Told(each.tolist(), product, bool((choice[open_.argmax(1)] == wanted).all()))


@dataclass
class Question:
    """One question: its answer among those on offer, and the words of these behind the question alone."""

    number: int
    example: Example
    kind: str | None
    choices: Sequence[str] | None
    right: int
    shown: Asked
    words: Asked | None = None

    def row(self, thinker, method: Method) -> dict[str, Any]:
        """A line of `samples.jsonl`, with what this kind of evaluation has to say."""
        told, choices = self.shown.told[self.right], self.choices
        parts = account(Completion(self.shown.before), (), thinker.vocab, method.around)
        best = self.shown.likeliest() if choices is not None else None
        correct = told.likeliest if best is None else best == self.right
        row: dict[str, Any] = {
            "id": self.example.id or str(self.number),
            "prompt": thinker.tokenizer.decode(self.shown.before.ids),
            "thoughts": [thought._asdict() for thought in parts.thoughts],
            "text": "",
            "extracted": None if choices is None or best is None else choices[best],
            "gold": self.example.answer,
            "correct": correct,
            "logprobs": told.logprobs,
        }
        if self.shown.allowed is not None:
            row |= {"expected": told.allowed, "argmax": told.likeliest}
            row["reachable"] = set(self.shown.answers[self.right][1]) <= set(self.shown.allowed)
        if self.words is not None:
            row["words"] = self.words.likeliest() == self.right
            row["words_per_token"] = self.words.likeliest(per_token=True) == self.right
        return row | ({"kind": self.kind} if self.kind is not None else {})


def evaluate_answers(
    thinker: Any,
    method: Method,
    task: Task,
    template: Template,
    examples: Sequence[Example],
    settings: Any,
    stage: int | None = None,
) -> Likelihood:
    """The likelihood of right answers behind the method's prompts. `settings` is the section `eval` of a recipe (its batch,
    latents, question and max_tokens). In a process group every process takes a part, and all get the whole report."""
    check_questions(examples, task)
    template = template.filled(thinker.tokenizer)
    if settings.question is not None:
        template = template.model_copy(update={"question": settings.question})
    task = task.model_copy(update={"template": template})
    begun = time.perf_counter()
    with without_dropout(thinker):
        questions = _Asking(thinker, method, task, settings, stage).questions(share(list(enumerate(examples))))
        _hear(thinker, method, questions, settings.batch)
        mine = [(question.number, question.row(thinker, method)) for question in questions]
    parts = gathered((mine, time.perf_counter() - begun))
    rows = [row for _, row in sorted((pair for part, _ in parts for pair in part), key=lambda pair: pair[0])]
    seconds = max(seconds for _, seconds in parts)
    return Likelihood(numbers(rows), task_name(task), seconds, rows=rows, extractor="likelihood")


@dataclass
class _Asking:
    """Questions as rows."""

    thinker: Any
    method: Method
    task: Task
    settings: Any
    stage: int | None

    def questions(self, examples: Sequence[tuple[int, Example]]) -> list[Question]:
        spelling, alphabet = Spelling(self.thinker.tokenizer), self.task.alphabet()
        digits = None if alphabet is None else (*spelling.made_of(alphabet), *spelling.line_ends)
        befores = self._befores([example for _, example in examples])
        found = []
        for (number, example), before in zip(examples, befores):
            choices = self.task.choices(example)
            # Digits are what is allowed, so thousands are not set apart.
            gold = example.answer if digits is None else example.answer.replace(",", "")
            offered = [gold] if choices is None else list(choices)
            answers = [ids for _, ids in self._encoded([replace(example, answer=words) for words in offered])]
            closed = choices is not None or digits is not None
            split = [spelling.split_blank(ids) if closed else ((), ids) for ids in answers]
            letters = None if choices is None else {token for _, ids in split for token in ids} | {*spelling.line_ends}
            allowed = digits if letters is None else tuple(sorted(letters))
            right = 0 if choices is None else self._right(example, offered)
            asked = Asked(before, split, allowed)
            found.append(Question(number, example, self.task.kind(example), choices, right, asked))
        self._add_words(found)
        return found

    def _right(self, example: Example, offered: list[str]) -> int:
        right = [n for n, words in enumerate(offered) if self.task.grade(example, words).correct]
        if len(right) != 1:
            raise DataError(
                f"{example.id or 'example'}: {len(right)} of its choices {', '.join(offered)} are graded as right, so there is "
                "nothing to compare; one of them must be the answer"
            )
        return right[0]

    def _add_words(self, questions: list[Question]) -> None:
        """The words of the choices behind the question alone, where a question shows them."""
        told = [(question, self.task.in_words(question.example)) for question in questions]
        with_words = [(question, list(examples)) for question, examples in told if examples is not None]
        befores = self._befores([examples[0] for _, examples in with_words])
        for (question, examples), before in zip(with_words, befores):
            question.words = Asked(before, [((), ids) for _, ids in self._encoded(examples)], None)

    def _encoded(self, examples: list[Example]) -> list[tuple[Encoded, Ids]]:
        return [(one, tuple(one.answer)) for one in encode(examples, self.thinker.tokenizer, self.task.template)]

    def _befores(self, examples: list[Example]) -> list[Layout]:
        """What an answer stands behind: the prompt, what a model that decides itself how long to think has thought there, and
        the words that announce an answer."""
        vocab, encoded = self.thinker.vocab, [one for one, _ in self._encoded(examples)]
        prompts = [self.method.prompt(one, vocab, self.stage) for one in encoded]
        if self.settings.latents is not None:
            prompts = [with_latents(prompt, self.settings.latents, vocab) for prompt in prompts]
        open_ = [n for n, prompt in enumerate(prompts) if self._is_open(prompt)]
        found = [announced(prompt, one.cue) for prompt, one in zip(prompts, encoded)]
        rule = Sampling(max_tokens=self.settings.max_tokens, logprobs=False, stop_tokens=(vocab.close,))
        rules = [rule.model_copy(update={"ends": ends(prompts[n], encoded[n].cue, vocab)}) for n in open_]
        done = self.thinker.complete([prompts[n] for n in open_], rules, slots=self.settings.batch)
        for n, one in zip(open_, done):
            if one.ids[-1:] == [vocab.close]:
                found[n] = announced(one.prompt + Layout(Segment("steps", tuple(one.ids))), encoded[n].cue)
            else:
                found[n] = before_answer(one, encoded[n].cue, vocab)
        return found

    def _is_open(self, prompt: Layout) -> bool:
        """Whether the model is yet to decide how long to think, or whether to think at all."""
        names = [segment.name for segment in prompt.segments]
        return names.count("open") > names.count("close") or (self.thinker.thinking.confine and "open" not in names)


def _hear(thinker, method: Method, questions: list[Question], batch: int) -> None:
    """Ask the method for all rows; those of like length together, since they need little padding."""
    asked = [one for question in questions for one in (question.shown, question.words) if one is not None]
    rows = [(layout, one, members) for one in asked for layout, members in one.rows()]
    rows.sort(key=lambda row: len(row[0]))
    for (_, one, members), lines in zip(rows, method.predict(thinker, [layout for layout, _, _ in rows], batch)):
        one.hear(lines, members)


def numbers(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """What the rows of all questions add up to."""
    tokens = sum(len(row["logprobs"]) for row in rows)
    whole = math.fsum(nats for row in rows for nats in row["logprobs"])
    correct = [row["correct"] for row in rows]
    found: dict[str, float] = {
        "accuracy": sum(correct) / len(rows),
        "stderr": accuracy_error([[one] for one in correct]),
        "n": len(rows),
        "correct": sum(correct),
        "answer_tokens_mean": tokens / len(rows),
        "nll": -whole / tokens,
        "answer_logprob": whole / len(rows),
    }
    shares = {"expected_accuracy": "expected", "argmax_accuracy": "argmax"}
    shares |= {"words_accuracy": "words", "words_accuracy_per_token": "words_per_token"}
    for name, key in shares.items():
        told = [row[key] for row in rows if key in row]
        if told:
            found[name] = math.fsum(told) / len(told)
    if all(row["extracted"] is not None for row in rows):
        found["choice_accuracy"] = found["accuracy"]
    if "expected_accuracy" in found:
        found["unreachable"] = sum(not row.get("reachable", True) for row in rows) / len(rows)
    for kind in sorted({row["kind"] for row in rows if "kind" in row}):
        told = [row["correct"] for row in rows if row.get("kind") == kind]
        found[f"accuracy/{kind}"] = sum(told) / len(told)
    return found
