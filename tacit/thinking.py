"""How a silent step is made, as settings. Kept apart from the modules they describe, so that recipes need no torch."""

from typing import Literal

from tacit.settings import Settings

Kind = Literal["identity", "linear", "mlp", "soft", "pause"]


class Thinking(Settings):
    """How a silent step is made. Saved with the model, since a model is only itself together with these."""

    feedback: Kind = "identity"
    """What turns a hidden state into the next input: the state itself, a linear map, an MLP, `soft` (the head's own
    distribution over embeddings), or `pause` (a learned vector that ignores the state: the control)."""
    scale: Literal["none", "table"] = "none"
    """`table` scales each fed-back vector to the root mean square of the model's own embedding table."""
    source: Literal["last", "penultimate", "middle"] = "last"
    """Which hidden state is fed back: after the final norm, the input of the last layer, or the middle layer's input."""
    window: int | None = None
    """Let gradient through the last so many thoughts of a row only; all when unset."""
    schedule: Literal["cached", "recompute", "jacobi"] = "cached"
    """`cached` reads each column once; `recompute` re-reads from the start for every thought (the reference; works with
    gradient checkpointing); `jacobi` updates all thoughts of a span at once, `rounds` times."""
    rounds: int = 3
    """Rounds of the jacobi schedule; exact when there are as many as thoughts."""
    confine: bool = False
    """A learned stop: behind <think> and <latent> only <latent> or </think> can come, and nowhere else."""
    max_latents: int = 64
    """Cap on the silent steps of one thought when the model decides itself; then </think> is forced."""
