"""Parts beside a language model that thinks before its tokens: the gate behind a thought, the marks around it, and running
means of its training."""

import torch
from torch import Tensor, nn

from tacit.engine.door import Door
from tacit.thinking import Aside
from tacit.vocab import Vocab


class AsideParts(nn.Module):
    steps: Tensor
    """Optimizer steps that were taken before the last one."""
    usual: Tensor
    """The running mean of what thoughts were worth."""
    pressure: Tensor
    """The bonus on undecidedness that comes to a target."""

    def __init__(self, aside: Aside, door: Door, vocab: Vocab):
        super().__init__()
        for name in ("steps", "usual", "pressure"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64, device=door.device))
        kept = torch.promote_types(door.dtype, torch.float32)
        self.mixer = None
        if aside.mixer:
            self.mixer = Mixer(door.width, aside.mixer_width or door.width).to(door.device, kept)
        self.scale = aside.marks_scale
        if self.scale is not None:
            marks = door.embed(torch.tensor([vocab.open, vocab.close], device=door.device)).detach()
            self.marks = nn.Parameter(marks.to(kept) / self.scale)

    def mark(self, number: int) -> Tensor:
        """(E,) the vector of the opening mark (0) or the closing one (1)."""
        assert self.scale is not None
        return self.marks[number] * self.scale


class Mixer(nn.Module):
    """How far a prediction leaves what the text alone would have predicted: three layers, the last of them zero at first, and
    nothing that keeps the weight between 0 and 1."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.first, self.second = nn.Linear(2 * width, inner), nn.Linear(inner, inner)
        self.last = nn.Linear(inner, 1, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, base: Tensor, thought: Tensor) -> Tensor:
        """(…, H), (…, H) -> weights (…, 1)."""
        both = torch.cat([base, thought], -1).to(self.first.weight.dtype)
        return self.last(self.second(self.first(both).relu()).relu())
