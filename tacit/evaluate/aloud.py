"""Answers behind steps in words, of models that were never trained to write any: they are asked to go step by step, and when
they have written enough, to say the answer. Sampled several times, the answer that is given most often counts (maj@k).
"""

import time
from collections.abc import Sequence
from typing import Any

from tacit.engine.complete import Completion
from tacit.engine.sampling import Sampling
from tacit.evaluate.account import ends
from tacit.evaluate.asking import Asked, Progress, draw
from tacit.evaluate.flops import work
from tacit.evaluate.grading import Part, grade, report
from tacit.evaluate.ranks import gathered, share
from tacit.evaluate.report import Report
from tacit.evaluate.split import check_questions, check_samples, task_name, with_latents
from tacit.example import Encoded, Example, Template, encode
from tacit.layout import Layout, Segment
from tacit.methods.base import Method
from tacit.tasks.base import ASKED, Task

OPENING = " I will go through this one step after the other."
ANSWER = "\nSo the answer is"
NUMBER = "\nSo the answer, in digits, is"
STOPS = ("\nQ:", "\n\n\n")
"""What shows that a model has done with a question: it makes up another one, or nothing follows."""
TOKENS = 12
"""Of an answer, once it is announced."""


def words_of(task: Task, question: str | None = None) -> Template:
    """The published roles in words of our own: the question, an invitation to go step by step, and the announcement."""
    cue = ANSWER if task.alphabet() is None else NUMBER
    words = {"question": question} if question is not None else {}
    return ASKED.model_copy(update={"opening": OPENING, "cue": cue, **words})


def evaluate_aloud(
    thinker: Any,
    method: Method,
    task: Task,
    examples: Sequence[Example],
    settings: Any,
    stage: int | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Two completions a sample: at most `settings.max_tokens` of steps, then the announcement and the answer. `settings` is the
    section `eval` of a recipe (its batch, max_tokens, temperature, samples, latents and question)."""
    check_questions(examples, task)
    check_samples(settings)
    template = words_of(task, settings.question).filled(thinker.tokenizer)
    task = task.model_copy(update={"template": template})
    begun = time.perf_counter()
    mine = share(list(enumerate(examples)))
    encoded = encode([example for _, example in mine], thinker.tokenizer, template)
    prompts = [_prompt(method, one, thinker, settings, stage) for one in encoded]
    each = [n for n in range(len(mine)) for _ in range(settings.samples)]
    draws = [2 * draw(example, sample) for _, example in mine for sample in range(settings.samples)]
    start = time.perf_counter()
    written = _complete(thinker, [prompts[n] for n in each], [encoded[n] for n in each], settings, draws)
    done = _announce(thinker, written, [encoded[n] for n in each], settings, [number + 1 for number in draws])
    seconds = time.perf_counter() - start
    asked, size = [], settings.samples
    for n, ((number, example), one) in enumerate(zip(mine, encoded)):
        group = done[n * size : (n + 1) * size]
        asked.append(Asked(number, example, one.cue, group, [work(one, thinker.vocab) for one in group]))
        if on_progress:
            on_progress(n + 1, len(mine))
    graded = grade(thinker, method, task, asked, {})
    return report(gathered(Part(graded, [], time.perf_counter() - begun, len(done), seconds)), task_name(task))


def _prompt(method: Method, one: Encoded, thinker: Any, settings: Any, stage: int | None) -> Layout:
    prompt = method.prompt(one, thinker.vocab, stage)
    if settings.latents is not None:
        prompt = with_latents(prompt, settings.latents, thinker.vocab)
    return prompt + Layout(Segment("steps", one.opening))


def _complete(
    thinker, prompts: Sequence[Layout], each: Sequence[Encoded], settings, draws: list[int]
) -> list[Completion]:
    """The steps, with room left for the answer."""
    rules = []
    for prompt, one in zip(prompts, each):
        most = settings.max_tokens
        if thinker.limit is not None:
            most = max(1, min(most, thinker.limit - prompt.positions[-1] - 1 - len(one.cue) - TOKENS))
        rule = _rule(settings, most)
        rules.append(rule.model_copy(update={"stop": STOPS, "ends": ends(prompt, one.cue, thinker.vocab)}))
    return thinker.complete(prompts, rules, slots=settings.batch, draws=draws)


def _announce(
    thinker, written: list[Completion], each: Sequence[Encoded], settings, draws: list[int]
) -> list[Completion]:
    """The answers behind what was written: each with it as one completion of the question."""
    said = [_said(thinker, one) for one in written]
    asked = [
        one.prompt + Layout(Segment("steps", ids), Segment("cue", encoded.cue))
        for one, ids, encoded in zip(written, said, each)
    ]
    answers = thinker.complete(asked, _rule(settings, TOKENS), slots=settings.batch, draws=draws)
    return [
        Completion(
            one.prompt,
            ids=[*ids, *encoded.cue, *answer.ids],
            logprobs=[*one.logprobs[: len(ids)], *[0.0] * len(encoded.cue), *answer.logprobs],
            latents=answer.latents,
            stopped="eos",
            text=one.text + thinker.tokenizer.decode(encoded.cue) + answer.text.split("\n")[0],
        )
        for one, ids, encoded, answer in zip(written, said, each, answers)
    ]


def _said(thinker, done: Completion) -> tuple[int, ...]:
    """The steps without the end of the text, or without the tokens in which a stop string began."""
    ids = done.ids
    if done.stopped == "stop":
        while ids and len(thinker.tokenizer.decode([n for n in ids if n not in thinker.vocab.unwritten])) > len(
            done.text
        ):
            ids = ids[:-1]
    return tuple(ids[:-1] if done.stopped == "eos" else ids)


def _rule(settings: Any, most: int) -> Sampling:
    return Sampling(
        max_tokens=most, temperature=settings.temperature, top_p=settings.top_p, top_k=settings.top_k, logprobs=False
    )
