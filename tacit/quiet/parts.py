"""Parts of a model of roles that begin with what another run has learned."""

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tacit.errors import ModelError
from tacit.quiet.roles import Parts

if TYPE_CHECKING:
    from tacit.quiet.model import QuietForCausalLM


def take_parts(model: "QuietForCausalLM", tokenizer: Any, parts: Parts) -> None:
    """Copy what the runs have learned into a model, in place. Parts that do not fit are refused."""
    groups = model.config.parts.groups
    for name, place in parts.given().items():
        donor = _donor(place, tokenizer, f"model.parts.{name}")
        theirs = donor.networks[donor.config.parts.groups[0]]
        wanted: list[tuple[nn.Module, nn.Module]] = []
        if name == "base":
            wanted = [(model.networks[groups[0]], theirs), (model.head, donor.head)]
            if hasattr(model, "head_level") and hasattr(donor, "head_level"):
                wanted.append((model.head_level, donor.head_level))
        elif not model.config.parts.thinks:
            raise ModelError(f"model.parts.{name}: this model has no thoughts, and so no such part; leave it out")
        elif name == "base_reasoner":
            wanted = [(model.networks[groups[1]], theirs)]
        elif model.config.parts.reasoner_head == "shared":
            raise ModelError(
                "model.parts.reasoner: the reasoner's head is that of the predictions (reasoner_head: shared), so it cannot "
                "come from another run; set model.tiny.roles.reasoner_head: linear or mlp"
            )
        else:
            wanted = [(model.networks[groups[2]], theirs), (model.reasoner_head, donor.head)]
        for mine, other in wanted:
            _copy(mine, other, f"model.parts.{name}: {place}")


def _donor(place: str, tokenizer: Any, field: str) -> "QuietForCausalLM":
    from tacit.models.loading import load_base
    from tacit.models.places import find_weights
    from tacit.quiet.model import QuietForCausalLM

    model, words = load_base(find_weights(place))
    if not isinstance(model, QuietForCausalLM):
        raise ModelError(f"{field}: {place} is a {type(model).__name__}, and parts come from models of family roles")
    if words.get_vocab() != tokenizer.get_vocab():
        raise ModelError(f"{field}: {place} has other tokens than this run; both must be made from the same texts")
    return model


@torch.no_grad()
def _copy(mine: nn.Module, other: nn.Module, told: str) -> None:
    theirs = other.state_dict()
    for name, tensor in mine.state_dict().items():
        if name not in theirs or theirs[name].shape != tensor.shape:
            found = f"is {list(theirs[name].shape)} there" if name in theirs else "is not there"
            raise ModelError(
                f"{told} does not fit: {name} is {list(tensor.shape)} here and {found}. Take a run of the same widths and the "
                "same kind of head"
            )
        tensor.copy_(theirs[name])
