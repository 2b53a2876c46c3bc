"""How a silent step is made, as settings. Kept apart from the modules they describe, so that recipes need no torch."""

from typing import Literal

from pydantic import Field, model_validator

from tacit.settings import Settings

Kind = Literal["identity", "linear", "linear_rms", "linear_ecf", "linear_ln", "mlp", "soft", "sre", "pause"]
NORMED = ("linear_rms", "linear_ln", "mlp")
"""Kinds that end in a norm whose gain can be set. That of linear_ecf is given by the embeddings."""


class Cast(Settings):
    """Who plays which role where a model thinks before its tokens: the base model says what the text alone predicts, the
    reasoner writes thoughts, the interpreter reads them and predicts."""

    base: Literal["trained", "fixed"] = "trained"
    """Whether the base model's weights are learned; those that others share with it are the same weights."""
    reasoner: Literal["base", "adapter", "copy"] = "base"
    """base: the base model itself. adapter: the same weights with low-rank maps beside them. copy: a copy with weights of its
    own; the output layer is always the base model's."""
    interpreter: Literal["base", "reasoner", "adapter", "copy"] = "base"
    """Likewise, or the same network as the reasoner."""
    rank: int = Field(default=16, ge=1)
    """Rank of the adapters."""
    alpha: float = Field(default=32.0, gt=0)
    """An adapter's output is scaled by alpha / rank."""

    @property
    def own(self) -> dict[str, Literal["adapter", "copy"]]:
        """The roles with weights of their own."""
        kinds = {"reasoner": self.reasoner, "interpreter": self.interpreter}
        return {role: kind for role, kind in kinds.items() if kind in ("adapter", "copy")}  # type: ignore[misc]

    def player(self, role: str) -> str:
        """Whose network plays a role: base, reasoner or interpreter."""
        if role == "interpreter" and self.interpreter == "reasoner":
            role = "reasoner"
        return role if role in self.own else "base"


class Pondering(Settings):
    """A recurrent cell that goes on with the last hidden state before it predicts."""

    steps: int = Field(default=4, ge=1)
    """At most so many steps for a token."""
    halt: float = Field(default=0.5, gt=0, lt=1)
    """The probability with which each of them is the last, at first."""


class Speech(Settings):
    """The thought before a token: what it consists of, and how it changes what is predicted."""

    length: int = Field(default=8, ge=0)
    """Tokens of a thought, its two marks not counted."""
    reread: bool = False
    """The token that a thought stands behind is read once more after the thought, so that what comes next is predicted from a
    familiar token at a familiar position."""
    reread_step: Literal[0, 1] = 0
    """It then stands at its own position, or one further."""
    apart: int | None = Field(default=None, ge=1)
    """Thoughts stand at positions of their own, so many further than the text's. Left out: they follow their place, and what is
    read behind them follows them."""
    together: bool = False
    """Thoughts see each other: the column t of a thought also sees those up to t of the thoughts with the same number behind
    earlier places of the text; further ones are not yet known where all are drawn at once. A thought is still judged by its
    own place alone. All columns of all thoughts are then compared with each other under one mask, so the cost grows with the
    square of places × samples × length."""
    one_mark: bool = False
    """One token opens a thought and closes it."""
    join: Literal["after", "add", "mix"] = "after"
    """after: the prediction is what stands behind the thought. add: logits of the text alone are added to it. mix: a learned
    gate goes from the text alone, where it starts, to what stands behind the thought."""
    words_only: bool = True
    """Thoughts consist of tokens that texts consist of."""
    mixture: int = Field(default=1, ge=1)
    """Thoughts before every token when the model is used: predictions are the mean of what stands behind them."""


class Aside(Settings):
    """What a language model learns besides, to think before its tokens."""

    speech: Speech | None = Speech()
    """The thoughts before every token that the model writes; null: it writes without."""
    mixer: bool = False
    """A learned gate between what the text alone predicts and what it predicts behind a thought."""
    mixer_width: int | None = Field(default=None, ge=1)
    """Its inner width. Left out: that of the hidden state."""
    marks_scale: float | None = Field(default=None, gt=0)
    """The marks around a thought get vectors of their own, kept divided by this number, so that their steps are so many times
    larger than those of other weights. Left out: they are tokens like others."""
    cast: Cast = Cast()
    """Which roles have weights of their own."""
    guess: bool = False
    """A guess, from the state at a place, of what thinking there is worth."""
    levels: int = Field(default=0, ge=0)
    """Strengths of the base model that thoughts are told, by a vector added to the opening mark; 0: they are told nothing."""
    ponder: Pondering | None = None
    """Steps in hidden states before every token, without words."""


class Thinking(Settings):
    """How a silent step is made. Saved with the model, since a model is only itself together with these."""

    feedback: Kind = "identity"
    """What turns a hidden state into the next input. identity: the state itself. linear: a linear map. linear_ln: with a
    LayerNorm behind it. linear_rms: with an RMSNorm and a learned vector behind it. linear_ecf: the same, beginning as the
    correlation of the embeddings with each other. mlp: two layers, GELU and LayerNorm. soft: the head's own distribution over
    embeddings. sre: the same without the tokens of silent steps. pause: a learned vector that ignores the state (the control)."""
    inner: int | None = Field(default=None, ge=1)
    """Inner width of mlp. Left out: that of the hidden state."""
    init: Literal["xavier", "default"] = "xavier"
    """How the maps of mlp begin: Xavier-uniform with zero biases, or as the library makes them."""
    gain: float = Field(default=1.0, gt=0)
    """What the norm behind mlp, linear_ln and linear_rms begins with. Models from scratch have embeddings far smaller than 1."""
    scale: Literal["none", "table"] = "none"
    """`table` scales each fed-back vector to the root mean square of the model's own embedding table."""
    source: Literal["last", "penultimate", "middle"] = "last"
    """Which hidden state is fed back: after the final norm, the input of the last layer, or the middle layer's input."""
    window: int | None = Field(default=None, ge=0)
    """Let gradient through the last so many thoughts of a row only; all when unset."""
    schedule: Literal["cached", "recompute", "jacobi"] = "cached"
    """`cached` reads each column once; `recompute` re-reads from the start for every thought (the reference; works with
    gradient checkpointing); `jacobi` updates all thoughts of a span at once, `rounds` times."""
    rounds: int = Field(default=3, ge=0)
    """Rounds of the jacobi schedule; exact when there are as many as thoughts; with 0 they are pauses."""
    confine: bool = False
    """A learned stop: behind <think> and <latent> only <latent> or </think> can come, and nowhere else."""
    stop_temperature: float = Field(default=1.0, gt=0)
    """Divides the two logits of the learned stop, in training and in use; above 1 the model decides less firmly."""
    stop_detached: bool = False
    """Learning when to stop changes the two output rows alone: no gradient goes from the decision into the model."""
    close: Literal["token", "token+thought"] = "token"
    """What enters the column of </think>: its embedding, or this plus one more fed-back state."""
    max_latents: int = Field(default=64, ge=0)
    """Cap on the silent steps of one thought when the model decides itself; then </think> is forced."""
    aside: Aside | None = None
    """What is learned besides for thoughts before every token."""

    @property
    def ponders(self) -> bool:
        """Whether steps in hidden states come before every token."""
        return self.aside is not None and self.aside.ponder is not None

    @property
    def speaks(self) -> bool:
        """Whether thoughts in words come before every token."""
        return self.aside is not None and self.aside.speech is not None and self.aside.ponder is None

    @model_validator(mode="after")
    def _consistent(self) -> "Thinking":
        if self.gain != 1.0 and self.feedback not in NORMED:
            raise ValueError(
                f"feedback {self.feedback} has no norm to begin with a gain; leave gain out, or take {NORMED}"
            )
        if (self.inner is not None or self.init != "xavier") and self.feedback != "mlp":
            raise ValueError(f"inner and init are those of mlp, and feedback is {self.feedback}; leave them out")
        if (self.stop_temperature != 1.0 or self.stop_detached) and not self.confine:
            raise ValueError(
                "nothing decides when to stop; set confine: true, or leave stop_temperature and stop_detached"
            )
        if self.close != "token" and self.schedule == "jacobi":
            raise ValueError("jacobi makes the thoughts of a span at once, without </think>; set close: token")
        return self
