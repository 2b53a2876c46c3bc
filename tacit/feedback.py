"""From a hidden state to the embedding of the next silent step: the learned parts that thinking needs.

Every module takes (hidden (…, H), door) and gives (…, E), where E is the width of the model's own embeddings. What is
learned here is kept in fp32 beside a model in 16 bits: it is small, and small updates would be rounded away.
"""

import torch
from torch import Tensor, nn

from tacit.aside import AsideParts
from tacit.engine.door import Door
from tacit.errors import ModelError
from tacit.thinking import Thinking
from tacit.vocab import Vocab


class Identity(nn.Module):
    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        return hidden


class LinearFeedback(nn.Module):
    """A linear map, perhaps with a norm behind it."""

    def __init__(self, width: int, out: int, norm: nn.Module | None = None):
        super().__init__()
        self.map = nn.Linear(width, out)
        self.norm = norm

    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        mapped = self.map(hidden.to(self.map.weight.dtype))
        return mapped if self.norm is None else self.norm(mapped)


class ShiftedFeedback(LinearFeedback):
    """A linear map, an RMSNorm, and a learned vector that starts at zero."""

    def __init__(self, width: int, out: int):
        super().__init__(width, out, nn.RMSNorm(out, eps=1e-6))
        self.shift = nn.Parameter(torch.zeros(out))

    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        return super().forward(hidden, door) + self.shift

    def start_from(self, table: Tensor) -> None:
        """Begin as the embeddings' correlation with each other: a state that the head reads as one token becomes something
        like that token's embedding, of the size that embeddings have."""
        rows, out = table.shape
        with torch.no_grad():
            self.map.weight.copy_(table.T @ table / rows)
            self.map.bias.zero_()
            assert isinstance(self.norm, nn.RMSNorm)
            self.norm.weight.fill_(float(table.norm(dim=1).mean()) / out**0.5)


class MLPFeedback(nn.Module):
    """Two layers with an exact GELU, and a LayerNorm behind them."""

    def __init__(self, width: int, inner: int, out: int, xavier: bool):
        super().__init__()
        self.inner, self.outer, self.norm = nn.Linear(width, inner), nn.Linear(inner, out), nn.LayerNorm(out)
        for layer in (self.inner, self.outer) if xavier else ():
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        return self.norm(self.outer(nn.functional.gelu(self.inner(hidden.to(self.inner.weight.dtype)))))


class Soft(nn.Module):
    """The expected embedding under the head's own distribution, without the tokens that are left `out`."""

    def __init__(self, out: tuple[int, ...] = ()):
        super().__init__()
        self.left_out = out

    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        logits = door.head(hidden)
        if self.left_out:
            index = torch.tensor(self.left_out, device=logits.device)
            logits = logits.index_fill(-1, index, float("-inf"))
        p = logits.softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        table = door.embed(torch.arange(p.shape[-1], device=p.device))
        return p.to(table.dtype) @ table


class Pause(nn.Module):
    """One learned vector for every silent step."""

    def __init__(self, start: Tensor):
        super().__init__()
        self.vector = nn.Parameter(start.clone())

    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        return self.vector.expand(*hidden.shape[:-1], -1)


class Feedback(nn.Module):
    """The chosen module, and the scaling behind it."""

    def __init__(self, thinking: Thinking, door: Door, vocab: Vocab):
        super().__init__()
        width, out = door.width, door.embedding_width
        if thinking.feedback in ("identity", "linear_ecf") and width != out:
            raise ModelError(
                f"this model embeds in {out} dimensions but thinks in {width}, so a hidden state cannot be fed back as "
                f"feedback {thinking.feedback} does. Set feedback: linear or mlp"
            )
        entering = _entering(door)
        rms = float(entering.square().mean().sqrt()) if entering.device.type != "meta" else 1.0
        self.scaled = thinking.scale == "table"
        self.register_buffer("rms", torch.tensor(rms, dtype=door.dtype), persistent=True)
        self.module = {
            "identity": Identity,
            "linear": lambda: LinearFeedback(width, out),
            "linear_ln": lambda: LinearFeedback(width, out, nn.LayerNorm(out)),
            "linear_rms": lambda: ShiftedFeedback(width, out),
            "linear_ecf": lambda: ShiftedFeedback(width, out),
            "mlp": lambda: MLPFeedback(width, thinking.inner or width, out, thinking.init == "xavier"),
            "soft": Soft,
            "sre": lambda: Soft((vocab.latent, vocab.close)),
            "pause": lambda: Pause(entering.mean(0).to(door.dtype)),
        }[thinking.feedback]()
        self.to(door.device, torch.promote_types(door.dtype, torch.float32))
        self.aside = None if thinking.aside is None else AsideParts(thinking.aside, door, vocab)
        if thinking.feedback == "linear_ecf" and entering.device.type != "meta":
            self.module.start_from(entering)  # type: ignore[operator]
        elif thinking.gain != 1.0:
            nn.init.constant_(self.module.norm.weight, thinking.gain)  # type: ignore[union-attr]

    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        out = self.module(hidden, door)
        if self.scaled:
            # The bound stands under the root, whose slope at zero is infinite.
            out = out * (self.rms / out.square().mean(-1, keepdim=True).clamp(min=1e-16).sqrt())
        return out.to(hidden.dtype)


@torch.no_grad()
def _entering(door: Door) -> Tensor:
    """(V, E) what comes out of the embedding for every id: some families multiply what their table holds."""
    rows = next(len(p) for n, p in door.embedding.named_parameters() if n.endswith("weight"))
    entering = door.embed(torch.arange(rows, device=door.device))
    return entering.to(torch.promote_types(entering.dtype, torch.float32))
