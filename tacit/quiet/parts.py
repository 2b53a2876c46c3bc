"""Parts of a model of roles that begin with what another run has learned."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tacit.errors import DataError, ModelError
from tacit.models.loading import empty_model, load_base, load_tokenizer, read_config
from tacit.models.places import find_weights
from tacit.quiet.model import QuietConfig, QuietForCausalLM
from tacit.quiet.roles import Parts

if TYPE_CHECKING:
    from tacit.recipe.schema import Recipe


def take_parts(model: QuietForCausalLM, tokenizer: Any, parts: Parts) -> None:
    """Copy what the runs have learned into a model, in place. Parts that do not fit are refused."""
    for name, place in parts.given().items():
        donor, words = load_base(find_weights(place))
        _check_kind(donor.config, name, place)
        _check_tokens(words, tokenizer, name, place)
        pairs = _fitting(model, donor, name, place)
        with torch.no_grad():
            for mine, other in pairs:
                mine.load_state_dict({name: other.state_dict()[name] for name in mine.state_dict()})


def faults_of_parts(recipe: "Recipe") -> Mapping[str, str]:
    """What of a recipe's parts cannot be taken, by their names, each with the reason and the remedy. Configurations and
    tokenizers are read, and no weights. Tokens are compared where the text is on this machine."""
    found: dict[str, str] = {}
    parts, tokenizer = recipe.model.parts, None
    for name, place in (parts or Parts()).given().items():
        try:
            config = read_config(place)
            _check_kind(config, name, place)
            tokenizer = tokenizer or _tokenizer_of(recipe)
            if tokenizer is not None:
                _check_tokens(load_tokenizer(find_weights(place)), tokenizer, name, place)
            own = empty_model(recipe.model, config.vocab_size, _Ends)
            with torch.device("meta"):
                donor = QuietForCausalLM(config)
            _fitting(own, donor, name, place)
        except ModelError as error:
            found[name] = str(error).removeprefix(f"model.parts.{name}: ")
    return found


class _Ends:
    """Any two tokens: shapes do not depend on which they are."""

    eos = pad = 0


def _tokenizer_of(recipe: "Recipe") -> Any:
    """The tokenizer that the recipe's own text would make. None where that text is far away, or cannot be read: whoever
    trains is told."""
    from tacit.models.making import vocabulary_of

    task = recipe.resolved_task()
    if getattr(task, "hub", None):
        return None
    with suppress(DataError):
        return vocabulary_of(recipe, list(task.examples("train"))[: recipe.train.limit])[0]
    return None


def _check_kind(config: Any, name: str, place: str) -> None:
    if not isinstance(config, QuietConfig):
        raise ModelError(
            f"model.parts.{name}: {place} is a model of type {config.model_type}, and parts come from models of family roles"
        )


def _check_tokens(theirs: Any, own: Any, name: str, place: str) -> None:
    if theirs.get_vocab() != own.get_vocab():
        raise ModelError(
            f"model.parts.{name}: {place} has other tokens than this run; both must be made from the same texts"
        )


def _fitting(
    model: QuietForCausalLM, donor: QuietForCausalLM, name: str, place: str
) -> list[tuple[nn.Module, nn.Module]]:
    """The modules that a part consists of, each beside its donor, all of whose shapes agree."""
    pairs = _pairs(model, donor, name)
    for mine, other in pairs:
        theirs = other.state_dict()
        for key, tensor in mine.state_dict().items():
            if key not in theirs or theirs[key].shape != tensor.shape:
                there = f"is {list(theirs[key].shape)} there" if key in theirs else "is not there"
                raise ModelError(
                    f"model.parts.{name}: {place} does not fit: {key} is {list(tensor.shape)} here and {there}. Take a run of "
                    "the same widths and the same kind of head"
                )
    return pairs


def _pairs(model: QuietForCausalLM, donor: QuietForCausalLM, name: str) -> list[tuple[nn.Module, nn.Module]]:
    roles, theirs = model.config.parts, donor.networks[donor.config.parts.groups[0]]
    if name == "base":
        pairs = [(model.networks[roles.groups[0]], theirs), (model.head, donor.head)]
        leveled = hasattr(model, "head_level") and hasattr(donor, "head_level")
        return pairs + [(model.head_level, donor.head_level)] * leveled
    if not roles.thinks:
        raise ModelError(f"model.parts.{name}: this model has no thoughts, and so no such part; leave it out")
    if name == "base_reasoner":
        return [(model.networks[roles.groups[1]], theirs)]
    if roles.reasoner_head == "shared":
        raise ModelError(
            "model.parts.reasoner: the reasoner's head is that of the predictions (reasoner_head: shared), so it cannot come "
            "from another run; set model.tiny.roles.reasoner_head: linear or mlp"
        )
    return [(model.networks[roles.groups[2]], theirs), (model.reasoner_head, donor.head)]
