"""Thoughts are written one token after the other behind a prompt and the text so far, many at the same time, and then read
again in one go, with the gradients of their choices and of what is predicted behind them.

A thought may be hundreds of tokens long. Then a row for every place, all behind one prompt that is read once, costs less than
growing all places of a text in parallel.

Shapes: B texts, L columns, K places of a text, T thoughts of a place, C = K T cells, n columns of a cell, H hidden size.
"""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from tacit.engine.complete import complete
from tacit.engine.run import check_positions
from tacit.engine.sampling import Sampling
from tacit.engine.stream import open_stream
from tacit.errors import DataError
from tacit.layout import Layout, Segment
from tacit.methods.base import Lesson
from tacit.objectives import state_nll
from tacit.quiet.lm.readers import Readers
from tacit.quiet.lm.walk import Drawing, Text, choose
from tacit.quiet.prompted.prompts import Words

if TYPE_CHECKING:
    from tacit.methods.prompted import Prompted
    from tacit.thinker import Thinker


class Thought(NamedTuple):
    ids: tuple[int, ...]
    """Without its marks."""
    ended: bool = True
    """Whether it closed itself; otherwise it was as long as it may be."""


def banned(thinker: "Thinker") -> tuple[int, ...]:
    """Tokens that no thought consists of. Its closing mark ends it."""
    vocab = thinker.vocab
    return tuple(sorted({*vocab.unwritten, vocab.eos, vocab.pad} - {vocab.close}))


def draw(
    method: "Prompted", thinker: "Thinker", words: Words, lesson: Lesson, at: Tensor, where: Tensor, samples: int
) -> list[list[list[Thought]]]:
    """`samples` thoughts at those of the places `at` (B, K) that `where` (B, K) names, and empty ones elsewhere. Which are
    drawn depends on a text's number, the place, and nothing else."""
    ids, vocab = lesson.views["main"].ids.tolist(), thinker.vocab
    longest = len(words.prompt) + len(ids[0]) + method.longest + 2 + method.ahead
    if thinker.door.limit is not None and longest > thinker.door.limit:
        raise DataError(
            f"a prompt of {len(words.prompt)} tokens, texts of {len(ids[0])} and thoughts of {method.longest} come to "
            f"{longest} positions, and this model has {thinker.door.limit}. Set method.longest lower, give shorter texts, take "
            "a shorter method.preface, or build the model with more positions (model.tiny.positions)"
        )
    cells = [(b, k) for b, k in where.nonzero().tolist() for _ in range(samples)]
    places = at.tolist()
    prompts = [Layout(Segment("prompt", (*words.prompt, *ids[b][: places[b][k] + 1], vocab.open))) for b, k in cells]
    # A number of its own for every thought that can be, so that none shares random numbers with another.
    draws = [
        ((lesson.picks[b][0] << 32 | lesson.picks[b][1]) << 32 | places[b][k]) << 16 | n % samples
        for n, (b, k) in enumerate(cells)
    ]
    rule = Sampling(
        max_tokens=method.longest,
        temperature=1.0,
        banned=banned(thinker),
        stop_tokens=(vocab.close,),
        seed=lesson.seed,
        logprobs=False,
    )
    done = complete(playing(thinker, "reasoner"), prompts, rule, slots=method.slots, draws=draws)
    found = [[[Thought(())] * samples for _ in row] for row in places]
    for n, ((b, k), one) in enumerate(zip(cells, done)):
        ended = one.stopped == "stop"
        found[b][k][n % samples] = Thought(tuple(one.ids[:-1] if ended else one.ids), ended)
    return found


def playing(thinker: "Thinker", role: str) -> "Thinker":
    """The same thinker, which reads with the network of a role."""
    other = copy.copy(thinker)
    other.__dict__["door"] = thinker.aside.door(role, thinker.door)
    return other


def behind(thinker: "Thinker", prompt: Sequence[int], ids: Tensor, ahead: int, role: str) -> Text:
    """Texts read behind a prompt, in a role. The prompt itself is read once."""
    door = thinker.aside.door(role, thinker.door)
    columns = ids[:, :-1]
    (B, L), P = columns.shape, len(prompt)
    check_positions(door, P + L - 1)
    stream = open_stream(door)
    if P:
        first = torch.arange(P, device=ids.device)[None]
        stream.read(door.embed(torch.tensor([prompt], device=ids.device)), first)
        stream = stream.select(torch.zeros(B, dtype=torch.long, device=ids.device))
    positions = torch.arange(P, P + L, device=ids.device).expand(B, -1)
    hidden = stream.read(door.embed(columns), positions).hidden
    return Text(torch.nn.functional.pad(ids, (0, ahead), value=thinker.vocab.pad), hidden, stream, door)


def readers(thinker: "Thinker", prompt: Sequence[int], ids: Tensor, ahead: int) -> Readers:
    """Who thinks and who predicts, behind a prompt; the base model is asked nothing here and stands for who predicts."""
    cast = thinker.aside.cast
    interpreter = behind(thinker, prompt, ids, ahead, "interpreter")
    alone = cast.player("reasoner") == cast.player("interpreter")
    return Readers(interpreter, interpreter if alone else behind(thinker, prompt, ids, ahead, "reasoner"), interpreter)


class Columns(NamedTuple):
    """What cells read: an opening mark, a thought, a closing mark, true tokens; and what each column must say."""

    at: Tensor
    """(B, C) the places."""
    ids: Tensor
    """(B, C, n)"""
    targets: Tensor
    """(B, C, n): what comes behind each column."""
    chosen: Tensor
    """(B, C, n): columns that chose a token of a thought, or to end it."""
    predicts: Tensor
    """(B, C, n): columns that predict the text, as many in each cell."""

    @classmethod
    def of(
        cls, thinker: "Thinker", text: Text, at: Tensor, thoughts: Sequence[Sequence[Sequence[Thought]]], ahead: int
    ) -> "Columns":
        """Of T thoughts at each of the places `at` (B, K). What is too short is padded behind its end, where nothing that
        counts looks at it."""
        vocab, T = thinker.vocab, len(thoughts[0][0])
        true, rows = text.ids.tolist(), []
        for b, places in enumerate(at.tolist()):
            for i, several in zip(places, thoughts[b]):
                rows += [(thought, true[b][i + 1 : i + 1 + ahead]) for thought in several]
        n = max(len(thought.ids) for thought, _ in rows) + 1 + ahead
        ids, targets = (torch.full((len(rows), n), vocab.pad) for _ in range(2))
        chosen, predicts = (torch.zeros(len(rows), n, dtype=torch.bool) for _ in range(2))
        for row, (thought, following) in enumerate(rows):
            said = torch.tensor([vocab.open, *thought.ids, vocab.close, *following])
            length = len(said) - 1
            ids[row, :length], targets[row, :length] = said[:-1], said[1:]
            chosen[row, : len(thought.ids) + thought.ended] = True
            predicts[row, length - ahead : length] = True
        wide = at.repeat_interleave(T, 1)
        parts = (part.view(*wide.shape, n).to(at.device) for part in (ids, targets, chosen, predicts))
        return cls(wide, *parts)


def states(text: Text, columns: Columns) -> Tensor:
    """(B, C, n, H), each cell a private continuation of its place."""
    in_front = text.stream.positions.shape[1] - text.hidden.shape[1]
    C, n = columns.ids.shape[1:]
    branch = text.stream.branch(columns.at + in_front)
    cells = torch.arange(C, device=columns.at.device).repeat_interleave(n)
    return branch.read(text.door.embed(columns.ids).flatten(1, 2), cells).hidden.unflatten(1, (C, n))


def likelihood(thinker: "Thinker", hidden: Tensor, columns: Columns) -> Tensor:
    """(B, C): log-probability of the true tokens behind each cell."""
    targets = columns.targets[columns.predicts]
    each = -state_nll(thinker, hidden[columns.predicts], targets, targets)
    return each.view(*columns.at.shape, -1).sum(-1)


def choices(thinker: "Thinker", hidden: Tensor, columns: Columns) -> tuple[Tensor, Tensor]:
    """(B, C) the log-probability of each thought, its end included if it ended itself, and the sum of the entropies of its
    choices."""
    where = columns.chosen
    said, targets = columns.ids[where], columns.targets[where]
    rule = Drawing(banned=torch.tensor(banned(thinker), device=hidden.device))
    told = choose(thinker, hidden[where][None], said[None], rule, None, targets[None])[0, :, :2]
    cell = where.flatten(0, 1).nonzero()[:, 0]
    sums = told.new_zeros(columns.at.numel(), 2).index_add(0, cell, told)
    logp, entropy = sums.view(*columns.at.shape, 2).unbind(-1)
    return logp, entropy


class Understood(NamedTuple):
    """Thoughts as they were read again, each (B, K, T)."""

    like: Tensor
    logp: Tensor
    entropy: Tensor


def understand(
    thinker: "Thinker", read: Readers, at: Tensor, thoughts: Sequence[Sequence[Sequence[Thought]]], ahead: int
) -> Understood:
    columns = Columns.of(thinker, read.interpreter, at, thoughts, ahead)
    hidden = states(read.interpreter, columns)
    like = likelihood(thinker, hidden, columns)
    written = hidden if read.alone else states(read.reasoner, columns)
    logp, entropy = choices(thinker, written, columns)
    return Understood(*(part.unflatten(1, (at.shape[1], -1)) for part in (like, logp, entropy)))


def nothing(thinker: "Thinker", read: Readers, at: Tensor, words: Words, ahead: int) -> Tensor:
    """(B, K): log-probability of the true tokens behind the null thought."""
    null = [[[Thought(words.null)]] * at.shape[1]] * len(at)
    columns = Columns.of(thinker, read.interpreter, at, null, ahead)
    return likelihood(thinker, states(read.interpreter, columns), columns)
