"""Read, ask, grade, count: the evaluation of one thinker on one list of examples.

What should be written is read once, teacher-forced, for perplexity and token accuracy. Then every question is answered,
whatever the method, and graded by its task. Which answer a question gets depends on the question alone: not on the batch, not
on the order, not on how many processes share the work.
"""

import time
from collections.abc import Sequence

from tacit.errors import DataError, TacitError
from tacit.evaluate.account import ends
from tacit.evaluate.asking import Asked, Progress, ask
from tacit.evaluate.choices import right_choices
from tacit.evaluate.grading import Part, grade, report
from tacit.evaluate.ranks import gathered, share
from tacit.evaluate.reading import read
from tacit.evaluate.report import Report
from tacit.evaluate.swapped import thoughts_of
from tacit.example import Example, Template, encode
from tacit.layout import Layout, Segment
from tacit.tasks import TASKS
from tacit.tasks.base import Task


def evaluate_split(
    thinker,
    method,
    task: Task,
    template: Template,
    examples: Sequence[Example],
    settings,
    stage: int | None = None,
    *,
    latents: int | None = None,
    swap: bool = False,
    choices: bool = False,
    on_progress: Progress | None = None,
    warm_up: bool = False,
) -> Report:
    """Answer and grade `examples`. `settings` is the section `eval` of a recipe (its batch, max_tokens, temperature, samples,
    check, latents and question); `stage` is where the curriculum stands, None after training. `latents` sets the number of
    silent steps of every prompt; `swap` gives every question the thoughts of the next one; `choices` also scores the two
    answers that a question offers. `on_progress(answered, of)` counts this process's answers; `warm_up` keeps the slow first
    calls of a model that was just loaded out of the speed of decoding. In a process group every process takes a part, and all
    get the whole report."""
    check_questions(examples, task)
    check_samples(settings)
    template = template.filled(thinker.tokenizer)
    if settings.question is not None:
        template = template.model_copy(update={"question": settings.question})
    latents = settings.latents if latents is None else latents
    task = task.model_copy(update={"template": template})
    mine = share(list(enumerate(examples)))
    start = time.perf_counter()
    encoded = encode([example for _, example in mine], thinker.tokenizer, template)
    prompts = [method.prompt(one, thinker.vocab, stage) for one in encoded]
    layouts = [method.layouts(one, thinker.vocab, stage, None)["main"] for one in encoded]
    if latents is not None:
        prompts, layouts = ([with_latents(one, latents, thinker.vocab) for one in rows] for rows in (prompts, layouts))
    thoughts, readings = [], [None] * len(prompts)
    if swap:  # what should be written then is unknown, so there is nothing to read
        others = encode([examples[(n + 1) % len(examples)] for n, _ in mine], thinker.tokenizer, template)
        theirs = [method.prompt(one, thinker.vocab, stage) for one in others]
        if latents is not None:
            theirs = [with_latents(one, latents, thinker.vocab) for one in theirs]
        thoughts = thoughts_of(thinker, theirs, settings.batch)
        prompts = [with_latents(one, len(given), thinker.vocab) for one, given in zip(prompts, thoughts)]
    elif not thinker.thinking.speaks:  # one read does not show what thoughts before every token would change
        readings = read(thinker, layouts, prompts, settings.batch)
    stops = [ends(prompt, one.cue, thinker.vocab) for prompt, one in zip(prompts, encoded)]
    asked_of = [example for _, example in mine]
    answers = ask(thinker, prompts, stops, asked_of, readings, settings, on_progress, warm_up, thoughts)
    asked = [
        Asked(number, example, one.cue, group, costs)
        for (number, example), one, group, costs in zip(mine, encoded, answers.completions, answers.costs)
    ]
    right = right_choices(thinker, task, asked, settings.batch) if choices else {}
    graded = grade(thinker, method, task, asked, right)
    told = [reading for reading in readings if reading is not None]
    part = Part(graded, told, time.perf_counter() - start, answers.decoded, answers.seconds)
    return report(gathered(part), task_name(task))


def check_questions(examples: Sequence[Example], task: Task) -> None:
    """Refuse examples that ask nothing."""
    if not examples:
        raise DataError("there are no examples to evaluate: raise the limit, or name another split or file")
    if any(example.text for example in examples):
        raise DataError(
            f"{task_name(task)} yields documents, which ask nothing and cannot be graded; name a task with questions"
        )


def check_samples(settings) -> None:
    """Refuse several answers that chance has no part in."""
    if settings.samples > 1 and settings.temperature == 0:
        raise TacitError(
            f"{settings.samples} samples at temperature 0 are all the same; set a temperature, or samples to 1"
        )


def task_name(task: Task) -> str:
    """The name a task is registered under, or its class's."""
    cls = type(task)
    known = {cls, f"{cls.__module__}:{cls.__name__}"}
    return next((name for name, target in TASKS.items() if target in known), cls.__name__)


def _counted(segment: Segment, count: int, vocab) -> Segment:
    """A thought without marks with so many silent steps. What another number of them should name, nothing says."""
    if segment.name != "thought" or len(segment.ids) == count:
        return segment
    changed = segment._replace(ids=(*segment.ids[:1], vocab.latent)[:1] * count)
    return changed if segment.labels is None else changed._replace(learn=0.0, labels=None)


def with_latents(prompt: Layout, count: int, vocab) -> Layout:
    """The prompt with `count` silent steps in its thought, whatever its method would take."""
    names = [segment.name for segment in prompt.segments]
    if "thought" in names and "open" not in names:  # silent steps without marks around them
        return Layout(*[_counted(segment, count, vocab) for segment in prompt.segments])
    before: list = []
    rest = list(prompt.segments)
    while rest and rest[0].name != "open":
        before.append(rest.pop(0))
    if not rest:
        raise TacitError(
            "this method's prompts open no thought, so they have no silent steps to count; leave latents out, or "
            "evaluate a method that thinks silently"
        )
    thought = next((segment for segment in rest if segment.name == "thought"), None)
    kind = thought.ids[0] if thought is not None and thought.ids else vocab.latent
    _, silent, closed = vocab.thought(count)
    after = [segment for segment in rest[1:] if segment.name not in ("thought", "close")]
    position = {} if thought is None else {"skip": thought.skip}
    return Layout(*before, rest[0], silent._replace(ids=(kind,) * count, **position), closed, *after)
