"""Answers to anybody's questions: the prompt of the model's own method, completed and told in words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tacit.engine.sampling import Sampling
from tacit.errors import ModelError, TacitError
from tacit.evaluate.account import Thought, account, ends
from tacit.evaluate.split import with_latents
from tacit.evaluate.subject import method_of, template_of
from tacit.example import Example, encode
from tacit.layout import Layout, Segment
from tacit.registry import nearest


@dataclass(frozen=True)
class Answer:
    """What a model answered, and how it got there."""

    text: str
    """Everything it wrote, steps in words included."""
    thoughts: tuple[Thought, ...]
    """Its stretches of thinking, silent and written, with their lengths."""
    n_thoughts: int
    """Silent steps taken."""
    logprob: float
    """Log-probability of everything it chose."""


def generate(
    thinker,
    texts: Sequence[str] | str,
    *,
    latents: int | None = None,
    then: str = "",
    on_token: Callable[[int, int, str], None] | None = None,
    **sampling: Any,
) -> list[Answer]:
    """Answers in the order of the questions. `latents`: so many silent steps, whatever was trained; with fewer, a model that
    learned several stages writes the steps that it did not think. `then`: words that it must begin with behind them, such as
    << for an equation. `sampling`: fields of `Sampling`, such as max_tokens, temperature and seed. `on_token(question, id,
    text)` is told every token as it is chosen."""
    if thinker.alone:
        raise ModelError(
            f"{type(thinker.model).__name__} predicts texts that are given, with a thought of its own before every token, and "
            "writes none. tacit eval judges its predictions, tacit probe shows its thoughts"
        )
    texts = [texts] if isinstance(texts, str) else list(texts)
    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise TacitError(f"prompt {number} is empty: write a question")
    for name in sampling:
        if name not in Sampling.model_fields:
            raise TacitError(f"generate takes no {name!r}{nearest(name, Sampling.model_fields)}")
    method, template = method_of(thinker.facts), template_of(thinker.facts)
    asked = encode([Example(question=text) for text in texts], thinker.tokenizer, template)
    prompts = [method.prompt(one, thinker.vocab) for one in asked]
    if latents is not None:
        prompts = [with_latents(prompt, latents, thinker.vocab) for prompt in prompts]
    if then:
        forced = Layout(Segment("steps", tuple(thinker.tokenizer(then, add_special_tokens=False)["input_ids"])))
        prompts = [prompt + forced for prompt in prompts]
    answers = []
    rule = Sampling(**sampling)
    each = [
        rule.model_copy(update={"ends": ends(p, one.cue, thinker.vocab)}) if "ends" not in sampling else rule
        for p, one in zip(prompts, asked)
    ]
    for one, done in zip(asked, thinker.complete(prompts, each, on_token=on_token)):
        parts = account(done, one.cue, thinker.vocab, method.around)
        answers.append(Answer(then + done.text, parts.thoughts, done.latents, sum(done.logprobs)))
    return answers
