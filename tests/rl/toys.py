"""Thinkers so small that every answer to a question can be listed, and rewards to teach them something with."""

import torch

from tacit.example import encode
from tacit.methods.base import Lesson, World
from tacit.methods.grpo import Grpo
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.choice import decode
from tacit.recipe.schema import Lora, Model
from tacit.tasks.modular import Modular

TASK = Modular(modulus=3, longest=2, train_rows=8)
EXAMPLES = list(TASK.examples("train"))
MOST = 2
DISTILL = {
    "name": "distill",
    "latents": {"plus": 1},
    "thoughts": {"feedback": "mlp", "gain": 0.5, "confine": True, "max_latents": MOST, "stop_temperature": 4.0},
}
COT = {"name": "cot"}
NO_KL = {"kl": 0.0, "reference": "none"}


def method(actor=DISTILL, **fields) -> Grpo:
    return decode(Grpo, {"actor": actor, "group": 6, "max_tokens": 3, **NO_KL, **fields})


def thinker(actor=DISTILL, family="gpt2", dropout=0.0, lora=None, dtype=torch.float64, **fields):
    """Weights large enough for every choice to be open and for silent steps to matter."""
    sizes = {} if family == "gru" else {"heads": 2, "positions": 32}
    tiny = Scratch(family=family, layers=2, hidden=16, dropout=dropout, **sizes)
    words = [*TASK.words(), ":"]
    adapters = None if lora is None else Lora(r=2, dropout=lora)
    section = Model(tiny=tiny, tokenizer="word", lora=adapters)
    made = make_thinker(section, method(actor, **fields).thinking(), words=words)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.25 * torch.randn(parameter.shape, generator=generator))
    return made.to(dtype)


def thinks_once(mind):
    """Made unable to open another thought, where the two ways of drawing answers would differ."""
    logits = mind.logits
    never = torch.tensor([mind.vocab.open])
    mind.logits = lambda hidden, said: logits(hidden, said).index_fill(-1, never, float("-inf"))
    return mind


def lesson(mind, count=4, start=None, seed=0, first=0) -> Lesson:
    """The first examples, not answered yet."""
    encoded = encode(EXAMPLES[:count], mind.tokenizer, TASK.template)
    picks = [(first, number) for number in range(count)]
    return Lesson({}, count, encoded, picks=picks, world=World(TASK, EXAMPLES, seed, start))


def again(mind, times: int, seed=0) -> Lesson:
    """The first example, met so many times."""
    [encoded] = encode(EXAMPLES[:1], mind.tokenizer, TASK.template)
    picks = [(epoch, 0) for epoch in range(times)]
    return Lesson({}, times, [encoded] * times, picks=picks, world=World(TASK, EXAMPLES, seed))


def gradients(mind, loss) -> dict[str, torch.Tensor]:
    mind.zero_grad(set_to_none=True)
    loss.backward()
    return {name: p.grad.clone() for name, p in mind.named_parameters() if p.grad is not None}


# --- rewards, by the names that recipes would use --------------------------------------------------------------------


def worth(latents: int, ids: list[int]) -> float:
    """Some number for every answer: none is like another."""
    said = [token for token in ids if token > 4]
    return 0.7 * latents * (2.2 - latents) + sum((token * 37 % 11) / 11 for token in said)


def uneven(prompts, completions, latents, completion_ids, **columns):
    return [worth(*one) for one in zip(latents, completion_ids)]


def two_steps(prompts, completions, latents, **columns):
    return [float(count == 2) for count in latents]


def too_few(prompts, completions, **columns):
    return [0.0] * (len(completions) - 1)


def not_a_number(prompts, completions, id, **columns):
    return [float("nan") if row == EXAMPLES[1].id else 0.0 for row in id]


def raises(prompts, completions, id, **columns):
    if EXAMPLES[1].id in id:
        raise KeyError("gold")
    return [0.0] * len(completions)


NO_FUNCTION = 3
