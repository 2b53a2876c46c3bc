"""What is drawn in a recurrent model whose hidden states are left to chance."""

from typing import Literal

from tacit.settings import Settings


class GaussianStates(Settings):
    """A recurrent layer part of whose state is drawn from a normal distribution, mean and variance of which are computed from
    what the layer would have had in its place."""

    cell: Literal["gru", "lstm"] = "gru"
    """The recurrent layer."""
    drawn: Literal["candidate", "state", "nothing"] = "candidate"
    """candidate: what a token offers to the state, before gates decide how much of it is taken. state: the state itself, all
    that the next column sees (of an LSTM, whose memory stays as it is, what it shows of that). nothing: an ordinary recurrent
    layer, to compare with."""
    judge: bool = False
    """A learned guess of what a draw is worth, from the states before and behind it."""
