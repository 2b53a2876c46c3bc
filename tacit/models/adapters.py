"""LoRA: small trained maps beside a frozen base, and trained rows for the tokens of thinking."""

import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tacit.errors import ModelError
from tacit.models.places import is_folder_name

if TYPE_CHECKING:
    from tacit.thinker import Thinker

BASE = "base"
"""The folder beside the adapters with a base that no path leads to, since it was built from scratch."""


def is_adapted(model: Any) -> bool:
    return hasattr(model, "peft_config")


def add_lora(base: Any, lora: Any, tokens: Sequence[int], revision: str | None = None) -> Any:
    """Adapters beside a frozen base; the rows of `tokens` are trained in the embedding and, if untied, the head.

    `lora` is the section of a recipe. What is trained is kept in fp32, whatever the type of the base.
    """
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    if not hasattr(base.config, "num_attention_heads"):
        raise ModelError(f"{type(base).__name__} has no linear maps in its layers to adapt; set model.lora: null")
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear" if lora.targets == "auto" else list(lora.targets),
        trainable_token_indices={table: list(tokens) for table in _tables(base)},
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in base.modules()),
        task_type="CAUSAL_LM",
        revision=revision,
    )
    try:
        model = get_peft_model(base, config)
    except ValueError as error:
        linear = {
            name.rpartition(".")[2] for name, m in base.named_modules() if isinstance(m, torch.nn.Linear | Conv1D)
        }
        raise ModelError(
            f"model.lora.targets {lora.targets} cannot be adapted; set auto, or name some of {', '.join(sorted(linear))} "
            f"({error})"
        ) from error
    return _trained_in_fp32(model)


def adapt(body: Any, rank: int, alpha: float) -> None:
    """Adapters in a body's linear maps, in place. Whether its other weights are trained stays as it was."""
    from peft import LoraConfig, inject_adapter_in_model
    from transformers.pytorch_utils import Conv1D

    trained = [(p, p.requires_grad) for p in body.parameters()]
    linear = {name.rpartition(".")[2] for name, m in body.named_modules() if isinstance(m, torch.nn.Linear | Conv1D)}
    transposed = any(isinstance(module, Conv1D) for module in body.modules())
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=sorted(linear), fan_in_fan_out=transposed)  # type: ignore[arg-type]
    inject_adapter_in_model(config, body)
    for parameter, was in trained:
        parameter.requires_grad_(was)


def _tables(base: Any) -> list[str]:
    """The names of the embedding and, where it has weights of its own, of the head."""
    names = {id(module): name.rpartition(".")[2] for name, module in base.named_modules()}
    table, head = base.get_input_embeddings(), base.get_output_embeddings()
    if head.weight is table.weight:
        return [names[id(table)]]
    if getattr(head, "bias", None) is not None:
        raise ModelError(
            f"the head of {type(base).__name__} has a bias, which adapters with rows of their own would lose; set "
            "model.lora: null"
        )
    return [names[id(table)], names[id(head)]]


def _trained_in_fp32(model: Any) -> Any:
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.promote_types(parameter.dtype, torch.float32))
    return model


def base_of(place: str, revision: str | None = None) -> tuple[str, str | None]:
    """The base that the adapters of a folder or a hub id stand beside: its name and its revision."""
    from huggingface_hub import snapshot_download
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(place, revision=revision)
    if config.base_model_name_or_path is not None:
        return config.base_model_name_or_path, config.revision
    here = is_folder_name(place)
    folder = place if here else snapshot_download(place, revision=revision, allow_patterns=f"{BASE}/*")
    return str(Path(folder) / BASE), None


def load_adapters(base: Any, place: str, revision: str | None = None) -> Any:
    """The base with the adapters of a folder or a hub id, ready to be trained further."""
    from peft import PeftModel

    return _trained_in_fp32(PeftModel.from_pretrained(base, place, revision=revision, is_trainable=True))


SAMPLED = 64
"""Numbers of each weight that a fingerprint is made of."""


def fingerprint(model: Any) -> str:
    """Of the weights that adapters were added to: enough of each to tell another base from theirs. It is taken in 16 bits, so
    that it does not depend on the type that a base is kept in."""
    found = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        if name.endswith(".base_layer.weight") and ".token_adapter." not in name:
            numbers = weight.detach().flatten()[:: max(1, weight.numel() // SAMPLED)][:SAMPLED]
            found.update(f"{name}{list(weight.shape)}{numbers.bfloat16().tolist()}".encode())
    return found.hexdigest()[:16]


def save_adapters(model: Any, folder: Path) -> None:
    """The adapters and the trained rows, and the base itself if it came from nowhere."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    config = copy.copy(model.peft_config["default"])
    config.inference_mode = True
    if not config.base_model_name_or_path:
        config.base_model_name_or_path = None
        copy.deepcopy(model).unload().save_pretrained(folder / BASE)
    config.save_pretrained(str(folder))
    # Rows that are trained are among the adapters; the embedding as a whole belongs to the base.
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "adapter_model.safetensors")


def merged(thinker: "Thinker") -> "Thinker":
    """The thinker as one plain model in fp32, with its adapters added to the weights. The given one is used up."""
    from tacit.thinker import Thinker

    if not is_adapted(thinker.model):
        return thinker
    # Adding first and rounding later: in 16 bits small changes of large weights would be lost.
    whole = Thinker(merged_model(thinker.model), thinker.tokenizer, thinker.vocab, thinker.thinking)
    whole.feedback.load_state_dict(thinker.feedback.state_dict())
    whole.facts = thinker.facts
    return whole


def merged_model(model: Any) -> Any:
    """The base in fp32 with the adapters added to it, and no longer frozen."""
    return model.float().merge_and_unload().requires_grad_(True)
