"""Prompts → completions: decoded, or known without decoding where one read has shown what decoding would write."""

import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from torch import Tensor

from tacit.engine.complete import Completion, replay
from tacit.engine.sampling import Sampling
from tacit.evaluate.flops import NONE, Work, work
from tacit.evaluate.reading import Reading
from tacit.example import Example
from tacit.layout import Layout

Progress = Callable[[int, int], None]


class Answers(NamedTuple):
    """What was answered, and how fast."""

    completions: list[list[Completion]]
    """Those of each prompt, as many as there are samples."""
    costs: list[list[Work]]
    """What each of them took."""
    decoded: int
    """Completions that were decoded, in so many seconds."""
    seconds: float


class Asked(NamedTuple):
    """A question and everything that came of it."""

    number: int
    example: Example
    cue: Sequence[int]
    completions: Sequence[Completion]
    costs: Sequence[Work]


def ask(
    thinker,
    prompts: Sequence[Layout],
    stops: Sequence[int],
    examples: Sequence[Example],
    readings: Sequence[Reading | None],
    settings,
    on_progress: Progress | None = None,
    warm_up: bool = False,
    thoughts: Sequence[Tensor] = (),
) -> Answers:
    """Complete every prompt, with `thoughts` instead of its own if they are given. `stops`: how many end-of-text tokens each
    completion has. `warm_up`: before the clock starts, the prompts of the first batch write two tokens each, so that libraries
    are loaded and memory is there; nothing of it is counted."""
    samples, rules = settings.samples, _rules(stops, settings, settings.max_tokens)
    # Where chance or several samples play a part, nothing can be known beforehand.
    verify = settings.check == "verify" and settings.temperature == 0 and samples == 1
    known = _known(thinker, prompts, readings, rules) if verify else {}
    left = [i for i in range(len(prompts)) if i not in known]
    answered, wanted = 0, len(prompts) * samples

    def done(_: int = 0) -> None:
        nonlocal answered
        answered += 1
        if on_progress:
            on_progress(answered, wanted)

    for _ in known:
        done()
    if warm_up and left:
        first, short = left[: settings.batch], _rules(stops, settings, min(2, settings.max_tokens))
        thinker.complete([prompts[i] for i in first], [short[i] for i in first])
    start = time.perf_counter()
    completions = thinker.complete(
        [prompts[i] for i in left for _ in range(samples)],
        [rules[i] for i in left for _ in range(samples)],
        slots=settings.batch,
        draws=[draw(examples[i], sample) for i in left for sample in range(samples)],
        thoughts=[thoughts[i] for i in left for _ in range(samples)] if thoughts else None,
        on_done=done,
    )
    seconds = time.perf_counter() - start
    groups = known | {i: completions[k * samples : (k + 1) * samples] for k, i in enumerate(left)}
    costs = {i: [work(done, thinker.vocab) for done in groups[i]] for i in left}
    if verify:
        costs |= {
            i: [reading.cost.plus(w) for w in costs.get(i, [NONE])] for i, reading in enumerate(readings) if reading
        }
    every = range(len(prompts))
    return Answers([groups[i] for i in every], [costs[i] for i in every], len(completions), seconds)


def _rules(stops: Sequence[int], settings, max_tokens: int) -> list[Sampling]:
    """How each prompt is completed."""
    rule = Sampling(
        max_tokens=max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        logprobs=False,
    )
    each = {count: rule.model_copy(update={"ends": count}) for count in set(stops)}
    return [each[count] for count in stops]


def _known(thinker, prompts, readings: Sequence[Reading | None], rules: list[Sampling]) -> dict[int, list[Completion]]:
    """Completions that need no decoding, by prompt: what is known to be written ends the text."""
    known = {i: reading.known for i, reading in enumerate(readings) if reading and reading.known}
    made = {i: replay(thinker, prompts[i], ids, rules[i]) for i, ids in known.items()}
    return {i: [done] for i, done in made.items() if done.stopped}


def draw(example: Example, sample: int) -> int:
    """The random numbers that belong to one sample of a question."""
    key = f"{example.id}\0{example.question}\0{sample}"
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
