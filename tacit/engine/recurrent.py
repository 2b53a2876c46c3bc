"""The stream of a recurrent model: its past is one state per row, and a branch folds its cells into the rows."""

import torch
from torch import Tensor

from tacit.engine.branch import steps_within
from tacit.engine.door import Door
from tacit.engine.stream import Beside, Read
from tacit.errors import ModelError


class RecurrentStream:
    """Our GRU language model. Positions are carried for the caller's sake; the model does not use them."""

    def __init__(self, door: Door):
        self.door = door
        self.state: Tensor | None = None  # (B, L, S) after the last column
        self.history: list[Tensor] = []  # of (B, W, L, S), the state after every column read
        self.positions = torch.empty(0)
        self.keep: Tensor | None = None

    def read(self, embeds: Tensor, positions: Tensor, keep: Tensor | None = None, layers: bool = False) -> Read:
        _refuse(layers)
        hidden, states = self.door.body.read(embeds, state=self.state, keep=keep)  # type: ignore[operator]
        self.state = states[:, -1]
        self.history.append(states)
        self.positions = torch.cat([self.positions, positions], 1) if len(self.positions) else positions
        return Read(hidden)

    def read_beside(
        self, embeds: Tensor, positions: Tensor, keep: Tensor | None, beside: Beside, layers: bool = False
    ) -> tuple[Read, Read]:
        read = self.read(embeds, positions, keep, layers)
        return read, self.branch(beside.at).read(beside.embeds, beside.cells, beside.keep, beside.layers)

    def _with(self, state: Tensor | None, positions: Tensor, history: list[Tensor]) -> "RecurrentStream":
        other = RecurrentStream(self.door)
        other.state, other.positions, other.history = state, positions, list(history)
        return other

    def fork(self) -> "RecurrentStream":
        return self._with(self.state, self.positions, self.history)

    def branch(
        self, at: Tensor, offset: int = 0, dense: bool = False, together: Tensor | None = None
    ) -> "RecurrentBranch":
        if together is not None:
            raise ModelError(
                "a recurrent model looks at nothing but its own state, so its thoughts cannot see each other; set "
                "method.together: false, or take a transformer (model.tiny.family: gpt2)"
            )
        states = torch.cat(self.history, 1)  # (B, K, L, S)
        index = at[:, :, None, None].expand(-1, -1, *states.shape[2:])
        return RecurrentBranch(self.door, states.gather(1, index))

    def select(self, rows: Tensor, reserve: int = 0) -> "RecurrentStream":
        assert self.state is not None
        return self._with(self.state[rows], self.positions[rows], [h[rows] for h in self.history])

    def join(self, other: "RecurrentStream", rows: Tensor | None = None) -> "RecurrentStream":
        """The past of a joined row is its state alone, so only its last column can be branched from."""
        assert self.state is not None and other.state is not None
        last, theirs = self.positions[:, -1:], other.positions[:, -1:]
        if rows is None:
            state, positions = torch.cat([self.state, other.state]), torch.cat([last, theirs])
        else:
            state, positions = self.state.index_copy(0, rows, other.state), last.index_copy(0, rows, theirs)
        return self._with(state, positions, [state[:, None]])

    def trim(self) -> None:
        assert self.state is not None
        self.history, self.positions = [self.state[:, None]], self.positions[:, -1:]


class RecurrentBranch:
    """Cells are rows of their own, each starting from the state after its column."""

    def __init__(self, door: Door, states: Tensor):
        self.door = door
        self.states = states  # (B, C, L, S)
        self.dense: str | None = None

    def read(
        self,
        embeds: Tensor,
        cells: Tensor,
        keep: Tensor | None = None,
        layers: bool = False,
        positions: Tensor | None = None,
    ) -> Read:
        """A recurrent state knows no positions."""
        _refuse(layers)
        B, _, H = embeds.shape
        C = self.states.shape[1]
        step = steps_within(cells)
        wide = int(step.max()) + 1
        # Ragged cells are read as a rectangle whose missing corners are pads.
        columns = embeds.new_zeros(B, C, wide, H)
        columns[:, cells, step] = embeds
        real = torch.zeros(B, C, wide, dtype=torch.bool, device=embeds.device)
        real[:, cells, step] = True if keep is None else keep
        full = None if bool(real.all()) else real.reshape(B * C, wide)
        hidden, states = self.door.body.read(  # type: ignore[operator]
            columns.reshape(B * C, wide, H), state=self.states.flatten(0, 1), keep=full
        )
        self.states = states[:, -1].unflatten(0, (B, C))
        return Read(hidden.reshape(B, C, wide, -1)[:, cells, step])


def _refuse(layers: bool) -> None:
    if layers:
        raise ModelError("a recurrent model has no layers to compare; use model.family: gpt2 or another transformer")
