"""Answers to questions, drawn in one of two ways.

`sampled`: every answer decides itself when to stop thinking, as it would when asked. `branched`: the silent steps of a question
do not depend on chance, so they are walked once, to the last that is allowed, and an answer is drawn behind each of them. How
likely it is that thinking stops there is known then, and need not be estimated from how often it does.

Shapes: B questions, K silent steps at most, C answers to a question, H hidden size.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine.complete import Completion, replay
from tacit.engine.dropout import without_dropout
from tacit.engine.run import check_positions, run
from tacit.engine.sampling import Sampling, choose, log_probability, uniforms
from tacit.layout import Layout, Segment
from tacit.vocab import Vocab


@dataclass
class Stops:
    """The decisions along one chain of thought: before the first silent step, behind it, behind the second, and so on."""

    go: list[float]
    """Log-probability of one more silent step."""
    stop: list[float]
    """Log-probability of stopping; behind the last silent step there is nothing to decide."""

    def shares(self) -> list[float]:
        """How likely it is that so many silent steps are taken: none, one, two and so on."""
        reached = [0.0]
        for go in self.go:
            reached.append(reached[-1] + go)
        chances = torch.tensor([r + s for r, s in zip(reached, [*self.stop, 0.0])], dtype=torch.float64).exp()
        return chances.tolist()


@dataclass
class Group:
    """All answers to one question."""

    prompt: Layout
    answers: list[Completion]
    shares: list[float]
    """How large a part of the group each answer is, together 1."""
    stops: Stops | None = None
    """Where answers were branched: they then come in the order of their silent steps, equally many for each number."""


def sampled(
    thinker, prompts: Sequence[Layout], size: int, rules: Sequence[Sampling], draws: Sequence[int]
) -> list[Group]:
    """`size` answers to each prompt, which is read once. `draws`: which random numbers the first answer to each prompt gets;
    the others get those that follow."""
    done = thinker.complete(
        [prompt for prompt in prompts for _ in range(size)],
        [rule for rule in rules for _ in range(size)],
        draws=[draw + number for draw in draws for number in range(size)],
    )
    starts = range(0, len(done), size)
    return [Group(p, done[at : at + size], [1 / size] * size) for p, at in zip(prompts, starts)]


def branched(
    thinker, prompts: Sequence[Layout], each: int, rules: Sequence[Sampling], draws: Sequence[int]
) -> list[Group]:
    """`each` answers behind every number of silent steps up to the most that the thinker takes. Prompts end with <think>."""
    with without_dropout(thinker), torch.inference_mode():
        return _Branches(thinker, prompts, each, rules, draws).groups()


class _Branches:
    def __init__(self, thinker, prompts, each: int, rules: Sequence[Sampling], draws: Sequence[int]):
        self.thinker, self.prompts, self.each, self.rules = thinker, prompts, each, rules
        self.most, self.vocab = thinker.thinking.max_latents, thinker.vocab
        self.cells = (self.most + 1) * each
        self.rule = rules[0].rule  # all are drawn in one way and differ in their ends alone
        self.chance = [[uniforms(rules[0].seed, draw + cell) for cell in range(self.cells)] for draw in draws]

    def groups(self) -> list[Group]:
        chain = Segment("thought", (self.vocab.latent,) * self.most)
        batch = Batch.of([prompt + Layout(chain) for prompt in self.prompts], self.vocab, "right")
        trace = run(self.thinker, batch.to(self.thinker.device), schedule="cached")
        stops = self._decisions(trace.hidden[:, -1 - self.most : -1])
        assert trace.stream is not None
        behind = torch.arange(-1 - self.most, 0, device=trace.hidden.device) + trace.hidden.shape[1]
        branch = trace.stream.branch(behind.repeat_interleave(self.each).expand(len(self.prompts), -1))
        room = self._room()
        written = [[_Written(rule, room[b]) for _ in range(self.cells)] for b, rule in enumerate(self.rules)]
        self._write(branch, written)
        return [self._group(b, cells, stops[b]) for b, cells in enumerate(written)]

    def _decisions(self, states: Tensor) -> list[Stops]:
        """(B, K, H): the states that decide."""
        B, K, _ = states.shape
        said = torch.full((B * K,), self.vocab.latent, device=states.device)
        said.view(B, K)[:, :1] = self.vocab.open
        logits = self.thinker.logits(states.flatten(0, 1), said)
        found = []
        for token in (self.vocab.latent, self.vocab.close):
            likely = log_probability(logits, torch.full_like(said, token), self.rule.temperature)
            found.append(likely.view(B, K).tolist())
        return [Stops(go, stop) for go, stop in zip(*found)]

    def _room(self) -> list[list[int]]:
        """By question and silent steps: the columns that the model has behind </think>."""
        limit = self.thinker.door.limit
        ends = [prompt.positions[-1] for prompt in self.prompts]
        check_positions(self.thinker.door, max(ends) + self.most + 2)
        counts = range(self.most + 1)
        return [[1 << 30 if limit is None else limit - 2 - end - k for k in counts] for end in ends]

    def _write(self, branch, written: "list[list[_Written]]") -> None:
        """One column of every answer at a time, until all have ended."""
        device = self.thinker.device
        cells = torch.arange(self.cells, device=device)
        tokens = torch.full((len(written), self.cells), self.vocab.close, device=device)
        alive = torch.ones_like(tokens, dtype=torch.bool)
        while bool(alive.any()):
            hidden = branch.read(self.thinker.door.embed(tokens), cells, alive).hidden
            logits = self.thinker.logits(hidden[alive], tokens[alive])
            rows = [(b, c) for b, c in alive.nonzero().tolist()]
            drawn = torch.tensor([next(self.chance[b][c]) for b, c in rows], dtype=torch.float64, device=device)
            chosen, likely = choose(logits, self.rule, drawn)
            assert likely is not None
            tokens[alive] = chosen
            for (b, c), token, logprob in zip(rows, chosen.tolist(), likely.tolist()):
                written[b][c].take(token, logprob, self.vocab, c // self.each)
            ended = [[cell.ended for cell in row] for row in written]
            alive = ~torch.tensor(ended, device=device)

    def _group(self, b: int, cells: "list[_Written]", stops: Stops) -> Group:
        answers, shares = [], []
        for c, (cell, share) in enumerate(zip(cells, _repeated(stops.shares(), self.each))):
            count = c // self.each
            thought = [self.vocab.latent] * count + [self.vocab.close]
            behind = self.prompts[b] + Layout(Segment("thought", thought))
            done = replay(self.thinker, behind, cell.ids, self.rules[b])
            before = [*stops.go[:count], *(stops.stop[count : count + 1] or [0.0])]
            answers.append(
                Completion(
                    self.prompts[b], thought + cell.ids, before + cell.logprobs, latents=count,
                    stopped=done.stopped or "length", text=done.text,
                )
            )  # fmt: skip
            shares.append(share / self.each)
        return Group(self.prompts[b], answers, shares, stops)


def _repeated(values: Iterable[float], times: int) -> Iterator[float]:
    return (value for value in values for _ in range(times))


class _Written:
    """What is written behind one number of silent steps."""

    def __init__(self, rule: Sampling, room: Sequence[int]):
        self.rule, self.room = rule, room
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.ended, self.ends = False, 0

    def take(self, token: int, logprob: float, vocab: Vocab, silent: int) -> None:
        """An answer that opens another thought ends there: one chain cannot tell how that would go on."""
        self.ids.append(token)
        self.logprobs.append(logprob)
        self.ends += token == vocab.eos
        full = len(self.ids) >= min(self.rule.max_tokens, self.room[silent])
        self.ended = full or token == vocab.open or self.ends == self.rule.ends


def free(done: Completion, vocab: Vocab, most: int) -> list[bool]:
    """Which tokens of a completion were a choice: the end of a thought that had to end was none."""
    span, found = 0, []
    for before, token in pairwise([done.prompt.ids[-1], *done.ids]):
        span = span + 1 if before == vocab.latent else 0
        found.append(not (token == vocab.close and span >= most))
    return found
