"""What processes that train together tell each other. With one process nothing is sent.

Gradients are summed here, once per step and behind its last backward pass, instead of inside the backward pass by a
wrapper around the model. So a process may split its rows otherwise than its neighbour, a process that ran out of memory
may say so before anything is lost, and a stage may leave parameters out. Sums need no averaging factor: the losses were
divided by counts of the whole step already.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import gather_object
from torch import Tensor, nn

CHUNK = 1 << 24
"""Numbers sent at once."""


def is_main() -> bool:
    """Whether this process is the one that writes."""
    return PartialState().is_main_process


class Ranks:
    """The processes of a run, seen from one of them."""

    def __init__(self) -> None:
        # Precision is the business of the step: the library's own would be set once for the whole process. And without
        # being told, it takes several processes on a machine without accelerators for so many runs.
        self.accelerator = Accelerator(cpu=not torch.accelerator.is_available(), mixed_precision="no")
        self.rank, self.count = self.accelerator.process_index, self.accelerator.num_processes
        self.device, self.main = self.accelerator.device, is_main()

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()

    def sum(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Sums over all processes, each of which must bring the same names."""
        if self.count == 1:
            return dict(numbers)
        names = sorted(numbers)
        sent = torch.tensor([numbers[name] for name in names], dtype=torch.float64, device=self.device)
        return dict(zip(names, self._summed(sent).tolist()))

    def any(self, claim: bool) -> bool:
        """Whether a claim holds for at least one process."""
        return self.sum({"claim": float(claim)})["claim"] > 0

    def gather(self, thing: Any) -> list[Any]:
        """One thing of each process, in order."""
        return [thing] if self.count == 1 else gather_object([thing])

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Every process ends with the sum. What no process has used keeps no gradient and is left alone by the optimizer."""
        if self.count == 1:
            return
        has = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32, device=self.device)
        used = [p for p, claims in zip(parameters, self._summed(has).tolist()) if claims]
        for p in used:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        for chunk in _chunks([p.grad for p in used if p.grad is not None]):
            flat = self._summed(torch.cat([g.flatten() for g in chunk]))
            for gradient, summed in zip(chunk, flat.split([g.numel() for g in chunk])):
                gradient.copy_(summed.view_as(gradient))

    def _summed(self, sent: Tensor) -> Tensor:
        summed = self.accelerator.reduce(sent, reduction="sum")
        assert isinstance(summed, Tensor)
        return summed


def _chunks(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, together not much more than a chunk."""
    chunk: list[Tensor] = []
    for gradient in gradients:
        full = sum(g.numel() for g in chunk) + gradient.numel() > CHUNK
        if chunk and (full or chunk[0].dtype != gradient.dtype):
            yield chunk
            chunk = []
        chunk.append(gradient)
    if chunk:
        yield chunk
