"""Several models of one architecture, computed as one: every weight gets the models as its first axis.

Products of many small matrices cost what the launch of one of them costs, so eight small models side by side take little
longer than one. The models stay ordinary modules: their parameters are views of the stacked weights, so what an optimizer
does to a model is done to the stack, and a model is saved as if it had been alone.

Shapes: S models, N rows, I and O the widths of a linear map.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm
from torch.nn.functional import layer_norm

from tacit.errors import ModelError


class Stack:
    """The weights of S models by their names, each (S, …)."""

    def __init__(self, models: Sequence[nn.Module]):
        if len({tuple((name, p.shape) for name, p in model.named_parameters()) for model in models}) != 1:
            raise ModelError(
                "only models of one architecture can be computed side by side; give them the same settings"
            )
        self.models = models
        self._stacked: dict[str, Tensor] = {}
        if len(models) > 1:
            for name, _ in models[0].named_parameters():
                parts = [model.get_parameter(name) for model in models]
                whole = torch.stack([part.data for part in parts]).requires_grad_(parts[0].requires_grad)
                self._stacked[name] = whole
                for part, own in zip(parts, whole.data):
                    part.data = own

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, name: str) -> Tensor:
        return self._stacked[name] if self._stacked else self.models[0].get_parameter(name)[None]

    @torch.no_grad()
    def norms(self) -> Tensor:
        """(S,) the length of all of a model's weights as one vector."""
        names = [name for name, _ in self.models[0].named_parameters()]
        return torch.stack([vector_norm(self[name].flatten(1), dim=1) for name in names]).norm(dim=0)

    def share_gradients(self) -> None:
        """After a backward pass through the stack: every model's parameters get their part of the gradient."""
        for name, whole in self._stacked.items():
            for model, part in zip(self.models, whole.grad if whole.grad is not None else [None] * len(self)):
                model.get_parameter(name).grad = part
            whole.grad = None


def linear(weights: Stack, name: str, inputs: Tensor) -> Tensor:
    """(S, N, I) -> (S, N, O)."""
    return torch.baddbmm(weights[f"{name}.bias"][:, None], inputs, weights[f"{name}.weight"].mT)


def normed(weights: Stack, name: str, inputs: Tensor) -> Tensor:
    """A LayerNorm with each model's own scale and shift."""
    plain = layer_norm(inputs, inputs.shape[-1:])
    return torch.addcmul(weights[f"{name}.bias"][:, None], plain, weights[f"{name}.weight"][:, None])
