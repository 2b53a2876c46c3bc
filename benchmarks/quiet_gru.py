"""Steps of the quiet-thought laboratory against bare torch.nn.GRU and Linear calls over the same rows, and seeds side by side.

The floor does what a step cannot do without: it reads the text, draws all thoughts column by column without gradients, and then
reads them once more with gradients, every layer over all rows at once. The published code's seconds stand beside it; they were
measured on another machine.

What seeds side by side can gain at most is what one model gains that is given all of their rows: the same arithmetic in the same
number of calls, with one set of weights. Where that is little, steps of one model are bound by arithmetic, not by calls.
"""

import string
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.harness import compare, main, row, timed

LENGTH, LETTERS = 128, string.printable[:65]


class Size(NamedTuple):
    rows: int
    width: int
    samples: int
    thought: int
    head: str
    published: float | None = None
    """Seconds of a step of the published code."""


STEPS = {
    "RI-a": Size(16, 32, 2, 5, "mlp", 0.9),
    "RI-b": Size(16, 32, 2, 5, "linear", 0.23),
    "RI-c": Size(16, 32, 10, 5, "linear", 1.07),
}
SEEDS = {
    "plain, width 8, 4 rows": Size(4, 8, 0, 0, "linear"),
    "plain, width 32, 16 rows": Size(16, 32, 0, 0, "linear"),
    "width 8, 2 rows, 2 × 1": Size(2, 8, 2, 1, "linear"),
    "width 8, 16 rows, 2 × 5": Size(16, 8, 2, 5, "linear"),
    "width 32, 16 rows, 2 × 5": Size(16, 32, 2, 5, "linear"),
}
SIZES = {**STEPS, **SEEDS}
MANY = 8


def ours(size: Size, models: int):
    """A step of several models side by side, without the optimizer."""
    from tacit.methods.base import Lesson
    from tacit.methods.quiet import Quiet
    from tacit.models.making import make_thinker
    from tacit.models.scratch import Scratch
    from tacit.quiet.roles import Roles
    from tacit.quiet.texts import texts
    from tacit.recipe.schema import Model
    from tacit.thinking import Thinking

    thinks = size.samples > 0
    roles = Roles(join="add", reasoner_head=size.head, thinks=thinks, levels=5 if thinks else 0)
    tiny = Scratch(family="roles", hidden=size.width, roles=roles)
    thinkers = [make_thinker(Model(tiny=tiny), Thinking(), texts=[LETTERS], seed=seed) for seed in range(models)]
    method = Quiet(length=max(1, size.thought), samples=max(2, size.samples), words_only=False)
    team = method.team(thinkers)
    ids = torch.randint(0, len(LETTERS), (size.rows, LENGTH + 1)).tolist()
    picks = [(0, number) for number in range(size.rows)]
    lessons = [Lesson({"main": texts(ids, 0)}, size.rows, picks=picks, seed=seed) for seed in range(models)]

    def step() -> None:
        torch.stack([loss.total for loss in team.losses(lessons, [one.counts() for one in lessons])]).sum().backward()
        team.share_gradients()
        for thinker in thinkers:
            thinker.zero_grad(set_to_none=True)

    return step


class Floor(nn.Module):
    """The same architecture of torch's own modules."""

    def __init__(self, size: Size, vocabulary: int = 71):
        super().__init__()
        width = size.width
        self.size, self.vocabulary = size, vocabulary
        self.embeddings = nn.ModuleList(nn.Embedding(vocabulary, width) for _ in range(4))
        self.layers = nn.ModuleList(nn.GRU(width, width, batch_first=True) for _ in range(4))
        self.head, self.down = nn.Linear(width + 32, vocabulary), nn.Linear(width, width)
        deep = [nn.Linear(width, 512), nn.GELU(), nn.Linear(512, 512), nn.GELU(), nn.Linear(512, vocabulary)]
        self.chooser = nn.Sequential(*deep) if size.head == "mlp" else nn.Linear(width, vocabulary)
        self.ids = torch.randint(0, len(LETTERS), (size.rows, LENGTH))
        self.targets = torch.randint(0, len(LETTERS), (size.rows * LENGTH,))
        self.register_buffer("level", torch.zeros(32))

    def read(self, role: int, ids: torch.Tensor, before: torch.Tensor | None = None):
        return self.layers[role](self.embeddings[role](ids), before)

    def think(self, seeds: torch.Tensor) -> torch.Tensor:
        """Thoughts (M, R)."""
        state, tokens = seeds, torch.zeros(seeds.shape[1], 1, dtype=torch.long)
        drawn = []
        with torch.no_grad():
            for _ in range(self.size.thought):
                out, state = self.read(2, tokens, state)
                tokens = torch.multinomial(self.chooser(out[:, 0]).softmax(-1), 1)
                drawn.append(tokens)
        return torch.cat(drawn, 1)

    def forward(self) -> torch.Tensor:
        size, T = self.size, self.size.samples
        hidden, seeds = (self.read(role, self.ids)[0].reshape(-1, size.width) for role in (0, 1))
        seeds = seeds.repeat_interleave(T, 0)[None]
        thoughts = self.think(seeds)
        mark = torch.zeros(len(thoughts), 1, dtype=torch.long)
        states, _ = self.read(2, torch.cat([mark, thoughts[:, :-1]], 1), seeds)
        chosen = self.chooser(states).log_softmax(-1).gather(-1, thoughts[..., None]).sum((1, 2))
        _, understood = self.read(3, torch.cat([mark, thoughts, mark], 1), torch.zeros_like(seeds))
        features = hidden.repeat_interleave(T, 0) + self.down(understood[0])
        told = self.head(torch.cat([features, self.level.expand(len(features), -1)], 1)).log_softmax(-1)
        like = told.gather(-1, self.targets.repeat_interleave(T)[:, None])[:, 0]
        worth = like.detach().view(-1, T)
        return -(like + (worth - worth.mean(-1, keepdim=True)).flatten() * chosen).mean()


def floor(size: Size):
    model = Floor(size)

    def step() -> None:
        model().backward()
        model.zero_grad(set_to_none=True)

    return step


def one(size: str, contender: str) -> dict[str, float]:
    torch.manual_seed(0)
    shape = SIZES[size]
    steps: dict[str, Callable[[], Callable[[], None]]] = {
        "floor": lambda: floor(shape),
        "ours": lambda: ours(shape, 1),
        "many": lambda: ours(shape, MANY),
        "rows": lambda: ours(shape._replace(rows=MANY * shape.rows), 1),
    }
    return timed(steps[contender](), warmup=2, steps=5)


def report(rounds: int = 3) -> list[dict]:
    here = str(Path(__file__).resolve())
    rows = []
    for name, size in STEPS.items():
        cpu = {who: found["cpu"] for who, found in compare(here, name, ["floor", "ours"], rounds).items()}
        rows.append(row("step / bare GRU and Linear", name, cpu["ours"], cpu["floor"], "cpu s", 1.3))
        rows.append(row("step / published code (elsewhere)", name, cpu["ours"], size.published or 0.0, "cpu s"))
    for name in SEEDS:
        cpu = {who: found["cpu"] for who, found in compare(here, name, ["ours", "many", "rows"], rounds).items()}
        rate, alone, most = MANY / cpu["many"], 1 / cpu["ours"], MANY / cpu["rows"]
        rows.append(row(f"{MANY} seeds side by side / one by one", name, rate, alone, "steps / cpu s", 3.0, more=True))
        rows.append(row(f"one model, {MANY} × the rows / one by one", name, most, alone, "steps / cpu s"))
    return rows


if __name__ == "__main__":
    main(__doc__, report, one)
