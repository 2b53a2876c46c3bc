"""Extend prompts to completions: the one sampler, for every method.

A row is always in one of two states: it still has tokens that were decided before (the rest of its prompt, from its first
latent on, or a forced </think>), or its next token is sampled. So rows that think, rows that write and rows that have just
joined advance together, one column at a time. A finished row leaves and a waiting prompt takes its slot.

Shapes: B rows in flight, S states of a column (that which speaks and that which is fed back, where they differ), H hidden
size, E embedding size.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from tacit.engine.dropout import without_dropout
from tacit.engine.prompts import Head, PromptReader
from tacit.engine.sampling import Sampling, choose, uniforms
from tacit.engine.stream import Stream
from tacit.errors import DataError
from tacit.layout import Layout, Segment
from tacit.vocab import Vocab


class Before(NamedTuple):
    """Thoughts before one token."""

    samples: int
    columns: int
    """Of one thought, its marks and what is read behind it included."""
    tokens: int
    """Chosen for one thought."""


@dataclass
class Completion:
    """A prompt and what came after it."""

    prompt: Layout
    ids: list[int] = field(default_factory=list)
    """Everything that was sampled or forced behind the prompt, silent steps included."""
    logprobs: list[float] = field(default_factory=list)
    """One for each of `ids`; 0 for forced ones."""
    thoughts: list[Tensor] = field(default_factory=list)
    """The vectors fed back, those of the prompt's own latents first."""
    latents: int = 0
    """Silent steps taken, the prompt's included."""
    before: "Before | None" = None
    """What was thought before every token, where the model does that."""
    stopped: str = ""
    """Why it ended: `eos`, `stop` (a stop string) or `length`."""
    text: str = ""
    """What was written, without thought tokens and without the end."""

    @property
    def layout(self) -> Layout:
        return self.prompt + Layout(Segment("completion", tuple(self.ids), 1.0))


@dataclass(eq=False)
class _Row:
    """One prompt in flight."""

    index: int
    sampling: Sampling
    done: Completion
    forced: deque[tuple[int, int]]
    """Tokens already decided, with their positions."""
    position: int
    """Of the last column read."""
    last: int
    """The token in the last column read."""
    chance: Iterator[float]
    """The random numbers of this prompt."""
    given: deque[Tensor]
    """Vectors for its next silent steps."""
    written: list[int] = field(default_factory=list)
    marks: int = 0
    """Thought markers and the like that the model has put between what it writes and its silent steps."""
    shown: int = 0
    alive: bool = True
    span: int = 0
    """Silent steps of the thought under way."""
    ends: int = 0
    """End-of-text tokens so far."""

    def count(self, token: int, vocab: Vocab, limit: int | None) -> None:
        """Take account of a chosen token, which may end the row. `limit`: positions that the model has."""
        self.ends += token == vocab.eos
        if self.ends == self.sampling.ends:
            self.done.stopped = "eos"
        elif token in self.sampling.stop_tokens:
            self.done.stopped = "stop"
        elif token not in vocab.unwritten:
            self.written.append(token)
        elif token != vocab.latent:
            self.marks += 1
        most = self.sampling.max_tokens
        full = limit is not None and self.position + 1 >= limit
        # A thought in front of every token is plenty; a model that only opens and closes them would never end.
        if full or len(self.written) >= most or self.marks > 2 * most:
            self.done.stopped = self.done.stopped or "length"


def complete(
    thinker,
    prompts: Sequence[Layout],
    sampling: Sampling | Sequence[Sampling] | None = None,
    *,
    slots: int | None = None,
    draws: Sequence[int] | None = None,
    thoughts: Sequence[Tensor | None] | None = None,
    on_token: Callable[[int, int, str], None] | None = None,
    on_done: Callable[[int], None] | None = None,
) -> list[Completion]:
    """Completions in the order of the prompts. `sampling`: one for all or one for each. `slots`: rows in flight (all when
    unset). `draws`: which random numbers each prompt gets, when that must not depend on its place in the list.
    `thoughts`: for each prompt, (n, E) vectors that enter its first n silent steps instead of what would be fed back.
    `on_token(prompt, id, text)` is called for every token as it is chosen; text is what has become readable.
    `on_done(prompt)` is called when a completion has ended."""
    if not prompts:
        return []
    each = (
        [sampling or Sampling()] * len(prompts)
        if sampling is None or isinstance(sampling, Sampling)
        else list(sampling)
    )
    if len(each) != len(prompts):
        raise DataError(f"{len(prompts)} prompts came with {len(each)} samplings; give one for all or one for each")
    with without_dropout(thinker), torch.inference_mode():
        chances = [uniforms(s.seed, draw) for s, draw in zip(each, draws or range(len(prompts)))]
        done = _Sampler(thinker, prompts, each, chances, thoughts or (), slots or len(prompts), on_token, on_done).run()
    for completion in done:  # tensors of inference mode could not be learned from later
        completion.thoughts = [vector.clone() for vector in completion.thoughts]
    return done


def replay(thinker, prompt: Layout, ids: Sequence[int], sampling: Sampling) -> Completion:
    """The completion that consists of these choices, without a model: it ends where sampling would have ended it, and has
    not `stopped` if they end nothing. Choices may not be silent steps."""
    row = _Row(0, sampling, Completion(prompt), deque(), prompt.positions[-1], prompt.ids[-1], iter(()), deque())
    row.done.latents = prompt.ids.count(thinker.vocab.latent)
    for token in ids:
        row.position += 1
        row.done.ids.append(token)
        row.count(token, thinker.vocab, thinker.door.limit)
        if row.done.stopped:
            break
    if thinker.tokenizer is not None:
        row.done.text = thinker.tokenizer.decode(row.written)
    return row.done


class _Sampler:
    def __init__(
        self,
        thinker,
        prompts: Sequence[Layout],
        samplings: list[Sampling],
        chances,
        given,
        slots: int,
        on_token,
        on_done,
    ):
        self.thinker, self.samplings, self.chances, self.slots = thinker, samplings, chances, slots
        self.on_token, self.on_done = on_token, on_done
        self.vocab, self.door, self.device = thinker.vocab, thinker.door, thinker.device
        self.fed = {self.vocab.latent}
        """Tokens whose columns a state is fed into."""
        if thinker.thinking.close == "token+thought":
            self.fed.add(self.vocab.close)
        self.prompts = list(prompts)
        self.given = dict(enumerate(given))
        """Vectors for the silent steps of some prompts."""
        self.speaker = thinker.speaker()
        self._check()
        self.heads = [self._head(p, self.given.get(i) is not None) for i, p in enumerate(self.prompts)]
        self.reader = PromptReader(thinker, self.heads)
        self.waiting = deque(range(len(prompts)))
        self.done: dict[int, Completion] = {}
        self.rows: list[_Row] = []
        self.stream: Stream | None = None
        self.states = torch.empty(0)  # (B, S, H) of the last column
        self.source = thinker.thinking.source

    @property
    def limit(self) -> int | None:
        """Positions that a row may come to."""
        room = 0 if self.speaker is None else self.speaker.room
        return None if self.door.limit is None else self.door.limit - room

    def _check(self) -> None:
        for i, prompt in enumerate(self.prompts):
            if len(prompt) == 0:
                raise DataError(f"prompt {i} is empty: give it at least one token (a question, or <think>)")
            last = max(prompt.positions)
            if self.limit is not None and last + 1 >= self.limit:
                with_thoughts = (
                    "" if self.speaker is None else f", {self.speaker.room} of them for the thought before a token"
                )
                raise DataError(
                    f"prompt {i} ends at position {last} and this model has {self.door.limit}{with_thoughts}, so nothing can "
                    "follow. Shorten it, or use a model with more positions"
                )

    def _head(self, layout: Layout, given: bool) -> Head:
        ids = layout.ids
        # Thoughts made in rounds are made all at once, so they belong to what is read before the first step.
        stepwise = given or self.thinker.thinking.schedule != "jacobi"
        n = next((n for n, token in enumerate(ids) if token in self.fed), len(ids)) if stepwise else len(ids)
        if n == 0:
            raise DataError("a prompt starts with a latent token: there is no hidden state before it to feed back")
        return Head(tuple(ids[:n]), tuple(layout.positions[:n]))

    def run(self) -> list[Completion]:
        while True:
            self._admit()
            if not self.rows:
                return [self.done[i] for i in range(len(self.prompts))]
            tokens = self._choose()
            self._settle()
            if any(row.alive for row in self.rows):
                self._advance(tokens)

    # --- joining and leaving -----------------------------------------------------------------------------------------

    def _admit(self) -> None:
        """Waiting prompts take the slots of rows that have ended; rows that nobody follows are dropped now and then."""
        free = [slot for slot, row in enumerate(self.rows) if not row.alive]
        room = self.slots - len(self.rows) + len(free)
        fresh = [self.waiting.popleft() for _ in range(min(room, len(self.waiting)))]
        if fresh:
            stream, states = self.reader.read([self.heads[i] for i in fresh])
            rows = [self._start(i) for i in fresh]
            if self.stream is None or len(free) == len(self.rows):
                self.stream, self.states, self.rows = stream, states, rows
            else:
                self._place(rows, stream, states, free)
        elif not self.waiting and len(free) * 4 >= len(self.rows):
            self._compact()

    def _start(self, index: int) -> _Row:
        layout, head = self.prompts[index], self.heads[index]
        n = len(head.ids)
        rest = deque(zip(layout.ids[n:], layout.positions[n:]))
        chance = self.chances[index]
        given = self.given.get(index)
        at = head.positions[-1]
        before = None if self.speaker is None else self.speaker.before
        row = _Row(
            index,
            self.samplings[index],
            Completion(layout, before=before),
            rest,
            at,
            head.ids[-1],
            chance,
            deque(() if given is None else given),
        )
        for token in head.ids:  # silent steps that were read with the prompt
            row.span = row.span + 1 if token == self.vocab.latent else 0
            row.done.latents += token == self.vocab.latent
        if row.sampling.thoughts and row.done.latents:
            row.done.thoughts += self.reader.thoughts[head]
        return row

    def _place(self, rows: list[_Row], stream: Stream, states: Tensor, free: list[int]) -> None:
        assert self.stream is not None
        into, beyond = free[: len(rows)], len(rows) - len(free)
        if into:
            slots = torch.tensor(into, device=self.device)
            part = stream if beyond <= 0 else stream.select(torch.arange(len(into), device=self.device))
            self.stream = self.stream.join(part, slots)
            self.states = self.states.index_copy(0, slots, states[: len(into)])
            for slot, row in zip(into, rows):
                self.rows[slot] = row
        if beyond > 0:
            behind = torch.arange(len(into), len(rows), device=self.device)
            self.stream = self.stream.join(stream.select(behind))
            self.states = torch.cat([self.states, states[len(into) :]])
            self.rows += rows[len(into) :]
        self.stream.trim()

    def _compact(self) -> None:
        live = [slot for slot, row in enumerate(self.rows) if row.alive]
        if live and len(live) < len(self.rows):
            assert self.stream is not None
            index = torch.tensor(live, device=self.device)
            self.stream = self.stream.select(index)
            self.stream.trim()
            self.states = self.states[index]
        self.rows = [self.rows[slot] for slot in live]

    # --- one column --------------------------------------------------------------------------------------------------

    def _choose(self) -> list[int]:
        """The next token of every row: the one already decided, or a sampled one."""
        tokens = [self.vocab.pad] * len(self.rows)
        asking = []
        for slot, row in enumerate(self.rows):
            if not row.alive:
                continue
            if row.forced:
                tokens[slot], row.position = row.forced.popleft()
                self._took(row, tokens[slot], False)
            else:
                asking.append(slot)
        if asking:
            self._ask(asking, tokens)
        return tokens

    def _ask(self, asking: list[int], tokens: list[int]) -> None:
        rows = [self.rows[slot] for slot in asking]
        whole = len(asking) == len(self.rows)
        if self.speaker is not None:
            logits = self._thought(asking)
            logits = logits if whole else logits[torch.tensor(asking, device=self.device)]
        else:
            states = self.states if whole else self.states[torch.tensor(asking, device=self.device)]
            said = torch.tensor([row.last for row in rows], device=self.device)
            logits = self.thinker.logits(states[:, 0], said)
        for slot, row, token, logprob in zip(asking, rows, *self._draw(rows, logits)):
            if token == self.vocab.latent and row.span >= self.thinker.thinking.max_latents:
                token, logprob = self.vocab.close, 0.0  # the cap decided, not the model
            row.position += 1
            row.done.ids.append(token)
            if row.sampling.logprobs:
                row.done.logprobs.append(logprob)
            tokens[slot] = token
            self._took(row, token, True)

    def _thought(self, asking: list[int]) -> Tensor:
        """(B, V) what is expected behind a thought in every row; those that do not ask think along, for nothing."""
        assert self.stream is not None and self.speaker is not None
        chance = torch.full((len(self.rows), self.speaker.chances), 0.5, dtype=torch.float64)
        for slot in asking:
            row = self.rows[slot]
            chance[slot] = torch.tensor([next(row.chance) for _ in range(self.speaker.chances)], dtype=torch.float64)
        ids = [[*row.done.prompt.ids, *row.done.ids] for row in self.rows]
        return self.speaker.next(self.stream, self.states[:, 0], ids, chance.to(self.device))

    def _draw(self, rows: list[_Row], logits: Tensor) -> tuple[list[int], list[float]]:
        """Rows that are sampled the same way are drawn together."""
        alike: dict[Sampling, list[int]] = {}
        for i, row in enumerate(rows):
            alike.setdefault(row.sampling.rule, []).append(i)
        ids, logprobs = [0] * len(rows), [0.0] * len(rows)
        for rule, members in alike.items():
            part = logits if len(alike) == 1 else logits[torch.tensor(members, device=self.device)]
            chance = None
            if rule.temperature > 0:
                draws = [next(rows[i].chance) for i in members]
                chance = torch.tensor(draws, dtype=torch.float64, device=self.device)
            chosen, likely = choose(part, rule, chance)
            listed = [0.0] * len(members) if likely is None else likely.tolist()
            for i, token, logprob in zip(members, chosen.tolist(), listed):
                ids[i], logprobs[i] = token, logprob
        return ids, logprobs

    def _took(self, row: _Row, token: int, sampled: bool) -> None:
        row.last = token
        step = token == self.vocab.latent
        row.span = row.span + 1 if step else 0
        row.done.latents += step
        if sampled:
            row.count(token, self.vocab, self.limit)
            self._show(row, token)

    def _show(self, row: _Row, token: int) -> None:
        """Stop strings and streaming both need the text so far; without either it is decoded once, at the end."""
        if not (row.sampling.stop or self.on_token):
            return
        text = self.thinker.tokenizer.decode(row.written)
        ends = [at for at in (text.find(s) for s in row.sampling.stop) if at >= 0]
        if ends:
            text, row.done.stopped = text[: min(ends)], "stop"
        row.done.text = text
        if self.on_token:
            ready = len(text) if row.done.stopped else max(row.shown, _settled(text, row.sampling.stop))
            self.on_token(row.index, token, text[row.shown : ready])
            row.shown = ready

    def _settle(self) -> None:
        for row in self.rows:
            if row.alive and row.done.stopped:
                row.alive = False
                if not (row.sampling.stop or self.on_token) and self.thinker.tokenizer is not None:
                    row.done.text = self.thinker.tokenizer.decode(row.written)
                self.done[row.index] = row.done
                if self.on_done:
                    self.on_done(row.index)

    def _advance(self, tokens: list[int]) -> None:
        assert self.stream is not None
        block = self._forced_block()
        columns = [[token, *(row.forced.popleft()[0] for _ in range(block))] for token, row in zip(tokens, self.rows)]
        ids = torch.tensor(columns, device=self.device)  # (B, W)
        start = torch.tensor([row.position for row in self.rows], device=self.device)
        embeds = self.door.embed(ids)
        thinking = [slot for slot, token in enumerate(tokens) if token in self.fed]
        if thinking:
            embeds = self._think(embeds, thinking, tokens)
        positions = start[:, None] + torch.arange(1 + block, device=self.device)
        for row, column in zip(self.rows, columns):
            row.position += block
            row.last = column[-1]
            row.span = 0 if block else row.span  # nothing in a block is silent
        self.states = self.stream.read(embeds, positions, layers=self.source != "last").last(self.source)

    def _think(self, embeds: Tensor, slots: list[int], tokens: list[int]) -> Tensor:
        """Put the fed-back states into the rows whose next column is silent, and on top of a </think> that gets one."""
        whole = len(slots) == len(self.rows)
        index = torch.tensor(slots, device=self.device)
        states = self.states[:, -1] if whole else self.states[index, -1]
        thought = self.thinker.thought(states).to(embeds.dtype)
        entering = list(thought)
        for i, slot in enumerate(slots):
            row = self.rows[slot]
            if tokens[slot] != self.vocab.latent:
                entering[i] = entering[i] + embeds[slot, 0]
                continue
            if row.given:
                entering[i] = row.given.popleft().to(thought)
            if row.sampling.thoughts:
                row.done.thoughts.append(entering[i])
        if self.given or len(self.fed) > 1:
            thought = torch.stack(entering)
        first = thought if whole else embeds[:, 0].index_copy(0, index, thought)
        return first[:, None] if embeds.shape[1] == 1 else torch.cat([first[:, None], embeds[:, 1:]], 1)

    def _forced_block(self) -> int:
        """How many further columns can be read along: those that are decided in every row and silent in none."""
        runs = []
        for row in self.rows:
            run = 0
            for token, position in row.forced:
                if token in self.fed or position != row.position + 1 + run:
                    break
                run += 1
            if not run:
                return 0
            runs.append(run)
        return min(runs)


def _settled(text: str, stop: Sequence[str]) -> int:
    """How much of a text is certain to stay. A character may take several tokens, and decodes as a replacement mark until its
    last one has come; and what begins a stop string may turn out to be one."""
    text = text.rstrip("\ufffd")
    return len(text) - max((n for s in stop for n in range(1, len(s)) if text.endswith(s[:n])), default=0)
