"""Thoughts are drawn behind places of a text, all at once, each a private continuation of its place.

The text is read once, whatever the number of thoughts. A thought grows by one column a read; what was computed while drawing is
what is learned from. Or thoughts are drawn without gradients and read again in one go, which keeps less in memory for each
read and launches less: the numbers are the same.

Shapes: B texts, L columns, K places of a text, T thoughts of a place, P = K T, R tokens of a thought, H hidden size.
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from tacit.engine.door import Door
from tacit.engine.run import check_positions
from tacit.engine.stream import Stream, open_stream
from tacit.errors import DataError
from tacit.objectives import in_chunks
from tacit.quiet.lm.route import Route

if TYPE_CHECKING:
    from tacit.thinker import Thinker


class Text(NamedTuple):
    """A text as it was read."""

    ids: Tensor
    """(B, W), W = L + A: the columns that were read, and those behind them that are predicted."""
    hidden: Tensor
    """(B, L, H)"""
    stream: Stream
    door: Door
    """The model in the role in which it has read."""


class Thoughts(NamedTuple):
    """What was thought, and what is expected next."""

    tokens: Tensor
    """(B, K, T, R)"""
    logp: Tensor
    """(B, K, T): log-probability of all that was chosen."""
    entropy: Tensor
    """(B, K, T): the sum of the entropies, in nats, of its choices."""
    states: Tensor
    """(B, K, T, A, H): states that predict the next A tokens of the text."""
    closed: Tensor
    """(B, K, T, H): the state behind the closing mark."""


class Drawing(NamedTuple):
    """How tokens of thoughts are chosen."""

    chance: Tensor | None = None
    """(B, K, T, R): uniform random numbers; none where tokens are given."""
    banned: Tensor | None = None
    """Tokens that are never chosen."""
    temperature: float = 1.0
    """Divides the logits wherever log-probabilities are learned; tokens are drawn at 1."""
    level: int = 0
    """How strong the base model is, where thoughts are told that."""


def read_text(thinker: "Thinker", ids: Tensor, ahead: int = 1, role: str = "base") -> Text:
    """Reads all columns but the last, in a role."""
    door = thinker.aside.door(role, thinker.door)
    # Padding stands behind the texts, where nothing that counts looks at it.
    columns = ids[:, :-1]
    B, L = columns.shape
    check_positions(door, L - 1)
    stream = open_stream(door)
    positions = torch.arange(L, device=ids.device).expand(B, -1)
    hidden = stream.read(door.embed(columns), positions).hidden
    return Text(torch.nn.functional.pad(ids, (0, ahead - 1), value=thinker.vocab.pad), hidden, stream, door)


class Cells:
    """Private continuations of places, of which every read gives each the same number of columns."""

    def __init__(self, text: Text, at: Tensor, samples: int, route: Route):
        self.door, self.at = text.door, at.repeat_interleave(samples, 1)  # (B, P)
        self.cells = torch.arange(self.at.shape[1], device=at.device)
        self.branch = text.stream.branch(self.at, together=self.cells % samples if route.together else None)
        self.places = text.stream.positions.gather(1, self.at)
        if not route.together and self.branch.dense is not None:
            warnings.warn(f"thoughts are read under a mask: {self.branch.dense}", stacklevel=2)

    def read(self, embeds: Tensor, offsets: Sequence[int]) -> Tensor:
        """(B, P, n, E) at positions relative to the places -> (B, P, n, H)."""
        many = embeds.shape[2]
        where = self.places[..., None] + torch.tensor(offsets, device=self.at.device)
        cells = self.cells.repeat_interleave(many)
        read = self.branch.read(embeds.flatten(1, 2), cells, positions=where.flatten(1))
        return read.hidden.unflatten(1, (-1, many))


def think(
    thinker: "Thinker", text: Text, at: Tensor, samples: int, route: Route, drawing: Drawing, again: bool = False
) -> Thoughts:
    """`samples` thoughts behind each of the places `at` (B, K). `again`: draw without gradients, then read at once."""
    assert drawing.chance is not None
    _check_room(text, at, route)
    if again and torch.is_grad_enabled():
        with torch.no_grad():
            still = text._replace(hidden=text.hidden.detach())
            tokens = think(thinker, still, at, samples, route, drawing).tokens
        return reread(thinker, text, at, tokens, route, drawing)
    cells = Cells(text, at, samples, route)
    state = cells.read(_opening(thinker, cells, drawing.level), route.thought[:1])
    chance = drawing.chance.flatten(1, 2)  # (B, P, R)
    tokens, told = [], []
    for step in range(route.length):
        given = _said(cells, thinker.vocab.open if not tokens else None, tokens)
        chosen = choose(thinker, state[:, :, 0], given, drawing, chance[..., step])
        tokens.append(chosen[..., 2].long())
        told.append(chosen[..., :2])
        if step + 1 < route.length:
            embeds = cells.door.embed(tokens[-1])[:, :, None]
            state = cells.read(embeds, route.thought[step + 1 : step + 2])
    # Nothing is chosen behind the last token, so it, the mark and what follows may be read in one go.
    last = [cells.door.embed(tokens[-1])[:, :, None]] if tokens else []
    rest = _ending(thinker, text, cells, route)
    offsets = [*route.thought[-2 if tokens else -1 :], *route.behind]
    rest = torch.cat([*last, rest], 2)
    if (
        at.device.type == "cpu"
    ):  # where a launch costs nothing, products with single columns are faster than small matrices
        states = torch.cat([cells.read(part, [offset]) for part, offset in zip(rest.split(1, 2), offsets)], 2)
    else:
        states = cells.read(rest, offsets)
    return _thoughts(tokens, told, states[:, :, len(last) :], route, samples)


def reread(thinker: "Thinker", text: Text, at: Tensor, tokens: Tensor, route: Route, drawing: Drawing) -> Thoughts:
    """The same of thoughts that are given: tokens (B, K, T, R)."""
    _check_room(text, at, route)
    samples = tokens.shape[2]
    cells = Cells(text, at, samples, route)
    given = tokens.flatten(1, 2)
    parts = [_opening(thinker, cells, drawing.level), cells.door.embed(given), _ending(thinker, text, cells, route)]
    states = cells.read(torch.cat(parts, 2), [*route.thought, *route.behind])
    R = route.length
    told = []
    for step in range(R):
        said = _said(cells, thinker.vocab.open if not step else None, [given[..., step - 1]])
        told.append(choose(thinker, states[:, :, step], said, drawing, None, given[..., step])[..., :2])
    return _thoughts(list(given.unbind(-1)), told, states[:, :, R + 1 :], route, samples)


def _check_room(text: Text, at: Tensor, route: Route) -> None:
    limit = text.door.limit
    last = int(text.stream.positions.gather(1, at).max()) + route.end
    if limit is not None and last >= limit:
        apart = f", method.apart below {route.apart - (last - limit)}" if route.apart else ""
        raise DataError(
            f"thoughts of {route.length} tokens behind place {last - route.end} come to position {last}, but this model has "
            f"{limit} positions (0 to {limit - 1}). Set method.length lower{apart}, give shorter texts, or build the model with "
            "more positions (model.tiny.positions)"
        )


def joined(thinker: "Thinker", base: Tensor, states: Tensor) -> Tensor:
    """What predicts, from the states of the text alone and those behind thoughts."""
    join = thinker.aside.speech.join
    if join == "after":
        return states
    if join == "add":
        # A head without bias makes of the sum of two states the sum of their logits.
        return states + base
    assert thinker.aside.mixer is not None
    base = base.expand_as(states)
    weight = thinker.aside.mixer(base, states).to(states)
    return (1 - weight) * base + weight * states


def _thoughts(tokens: list[Tensor], told: list[Tensor], states: Tensor, route: Route, samples: int) -> Thoughts:
    """`states` (B, P, …, H): behind the closing mark and everything after it."""

    def places(rows: Tensor) -> Tensor:  # (B, P, …) -> (B, K, T, …)
        return rows.unflatten(1, (-1, samples))

    ahead = states[:, :, -route.ahead :]
    drawn = torch.stack(tokens, -1) if tokens else states.new_empty(*states.shape[:2], 0).long()
    if told:
        logp, entropy = torch.stack(told).sum(0).unbind(-1)
    else:
        logp = entropy = states.new_zeros(states.shape[:2])
    return Thoughts(places(drawn), places(logp), places(entropy), places(ahead), places(states[:, :, 0]))


def _opening(thinker: "Thinker", cells: Cells, level: int) -> Tensor:
    """(B, P, 1, E): the opening mark, and what it tells."""
    mark, levels = _marks(thinker, 0, cells), thinker.aside.levels
    return mark if levels is None else mark + levels[level].to(mark)


def _marks(thinker: "Thinker", number: int, cells: Cells) -> Tensor:
    """(B, P, 1, E)"""
    if thinker.aside.scale is not None:
        vector = thinker.aside.mark(number).to(thinker.door.dtype)
    else:
        mark = (thinker.vocab.open, thinker.vocab.close)[number]
        vector = cells.door.embed(torch.tensor(mark, device=cells.at.device))
    return vector.expand(*cells.at.shape, 1, -1)


def _ending(thinker: "Thinker", text: Text, cells: Cells, route: Route) -> Tensor:
    """(B, P, n, E): the closing mark, and the true tokens behind it."""
    mark = _marks(thinker, 0 if route.one_mark else 1, cells)
    if not route.true:
        return mark
    where = cells.at[..., None] + torch.tensor(route.true, device=cells.at.device)
    true = text.ids.gather(1, where.flatten(1)).view(where.shape)
    return torch.cat([mark, cells.door.embed(true)], 2)


def _said(cells: Cells, mark: int | None, tokens: Sequence[Tensor]) -> Tensor:
    """(B, P) the ids that stand in the columns that choose."""
    return tokens[-1] if mark is None else torch.full_like(cells.at, mark)


def choose(
    thinker: "Thinker",
    states: Tensor,
    said: Tensor,
    drawing: Drawing,
    chance: Tensor | None,
    tokens: Tensor | None = None,
) -> Tensor:
    """(B, P, 3): log-probability, entropy, and the token, which is drawn by `chance` (B, P) or given."""

    def score(thinker, states: Tensor, said: Tensor, given: Tensor) -> Tensor:
        logits = thinker.logits(states, said)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if drawing.banned is not None:
            logits = logits.index_fill(-1, drawing.banned, float("-inf"))
        told = logits.log_softmax(-1)
        chosen = given
        if tokens is None:
            with torch.no_grad():
                below = told.exp().cumsum(-1)
                # Never more than the whole, whatever rounding made of it, so that no token without probability is taken.
                chosen = torch.searchsorted(below, given.to(below)[:, None] * below[:, -1:], right=True)[:, 0]
                chosen = chosen.clamp(max=below.shape[-1] - 1)
        if drawing.temperature != 1.0:
            told = (logits / drawing.temperature).log_softmax(-1)
        surprise = told.masked_fill(told == float("-inf"), 0.0)
        entropy = -(told.exp() * surprise).sum(-1)
        return torch.stack([told.gather(-1, chosen[:, None])[:, 0], entropy, chosen.to(told)], 1)

    given = chance if tokens is None else tokens
    assert given is not None
    found = in_chunks(score, thinker, states.flatten(0, 1), said.flatten(), given.flatten())
    return found.unflatten(0, states.shape[:2])
