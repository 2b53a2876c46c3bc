"""Which of the offered answers does the model find likeliest? Scored behind everything it thought, silently or in words."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from tacit.engine.complete import Completion
from tacit.evaluate.account import after_cue
from tacit.evaluate.asking import Asked
from tacit.evaluate.scores import log_probabilities
from tacit.example import encode
from tacit.layout import Layout, Segment
from tacit.tasks.base import Task
from tacit.vocab import Vocab


def right_choices(thinker, task: Task, asked: Sequence[Asked], batch: int) -> dict[tuple[int, int], bool]:
    """Whether the right choice is the likelier one, by question and sample; questions that offer nothing are left out."""
    places, offered, layouts = [], [], []
    for one in asked:
        choices = task.choices(one.example)
        if choices is None:
            continue
        answers = encode([replace(one.example, answer=words) for words in choices], thinker.tokenizer, task.template)
        for sample, done in enumerate(one.completions):
            places.append((one.number, sample))
            offered.append((one.example, choices))
            before = before_answer(done, one.cue, thinker.vocab)
            layouts += [before + Layout(Segment("answer", (*a.answer, thinker.vocab.eos), 1.0)) for a in answers]
    scores = iter(log_probabilities(thinker, layouts, batch))
    right = {}
    for place, (example, choices) in zip(places, offered):
        likely = list(islice(scores, len(choices)))
        right[place] = task.grade(example, choices[likely.index(max(likely))]).correct
    return right


def before_answer(done: Completion, cue: Sequence[int], vocab: Vocab) -> Layout:
    """The prompt, what the model thought behind it, and the words that announce an answer, once."""
    end = after_cue(done.ids, cue)
    if end:
        return done.prompt + Layout(Segment("steps", _possible(done.prompt.ids[-1], done.ids[:end], vocab)))
    return announced(done.prompt, cue)


def announced(prompt: Layout, cue: Sequence[int]) -> Layout:
    """The prompt and the words that announce an answer, unless it has them."""
    there = any(segment.name == "cue" for segment in prompt.segments)
    return prompt if there else prompt + Layout(Segment("cue", tuple(cue)))


def _possible(last: int, written: Sequence[int], vocab: Vocab) -> tuple[int, ...]:
    """Without silent steps where no thought can be: a model that has not yet learned what belongs where may write them."""
    kept = [last]
    for token in written:
        if token != vocab.latent or kept[-1] not in (vocab.close, vocab.eos):
            kept.append(token)
    return tuple(kept[1:])
