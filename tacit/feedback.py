"""From a hidden state to the embedding of the next silent step: the learned parts that thinking needs.

Every module takes (hidden (…, H), door) and gives (…, E), where E is the width of the model's own embeddings. What is
learned here is kept in fp32 beside a model in 16 bits: it is small, and small updates would be rounded away.
"""

import torch
from torch import Tensor, nn

from tacit.engine.door import Door
from tacit.errors import ModelError
from tacit.thinking import Thinking


class Identity(nn.Module):
    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        return hidden


class LinearFeedback(nn.Module):
    def __init__(self, width: int, out: int):
        super().__init__()
        self.map = nn.Linear(width, out)

    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        return self.map(hidden.to(self.map.weight.dtype))


class MLPFeedback(nn.Module):
    """Two layers with an exact GELU and a LayerNorm behind them; Xavier-uniform weights, zero biases."""

    def __init__(self, width: int, out: int):
        super().__init__()
        self.inner, self.outer, self.norm = nn.Linear(width, width), nn.Linear(width, out), nn.LayerNorm(out)
        for layer in (self.inner, self.outer):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        return self.norm(self.outer(nn.functional.gelu(self.inner(hidden.to(self.inner.weight.dtype)))))


class Soft(nn.Module):
    """The expected embedding under the head's own distribution."""

    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        logits = door.head(hidden)
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

    def __init__(self, thinking: Thinking, door: Door):
        super().__init__()
        width, out = door.width, door.embedding_width
        if thinking.feedback == "identity" and width != out:
            raise ModelError(
                f"this model embeds in {out} dimensions but thinks in {width}, so a hidden state cannot be fed back as it "
                "is. Set feedback: linear or mlp"
            )
        with torch.no_grad():
            # What comes out of the embedding: some families multiply what their table holds.
            rows = next(len(p) for n, p in door.embedding.named_parameters() if n.endswith("weight"))
            entering = door.embed(torch.arange(rows, device=door.device))
            entering = entering.to(torch.promote_types(entering.dtype, torch.float32))
            rms = float(entering.square().mean().sqrt()) if entering.device.type != "meta" else 1.0
            mean = entering.mean(0).to(door.dtype)
        self.scaled = thinking.scale == "table"
        self.register_buffer("rms", torch.tensor(rms, dtype=door.dtype), persistent=True)
        self.module = {
            "identity": Identity,
            "linear": lambda: LinearFeedback(width, out),
            "mlp": lambda: MLPFeedback(width, out),
            "soft": Soft,
            "pause": lambda: Pause(mean),
        }[thinking.feedback]()
        self.to(door.device, torch.promote_types(door.dtype, torch.float32))

    def forward(self, hidden: Tensor, door: Door) -> Tensor:
        out = self.module(hidden, door)
        if self.scaled:
            # The bound stands under the root, whose slope at zero is infinite.
            out = out * (self.rms / out.square().mean(-1, keepdim=True).clamp(min=1e-16).sqrt())
        return out.to(hidden.dtype)
