"""The optimizer: what is learned and what decays, which learning rate a step has, what is forgotten when a stage changes."""

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib import import_module

import torch
from torch import nn

from tacit.errors import TacitError
from tacit.recipe.training import Train
from tacit.registry import nearest
from tacit.thinker import Thinker

SHOWN = 8
"""Names that a refusal lists."""


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """What is learned, by name; the order is that of the module and so always the same."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def learn_only(thinker: Thinker, wanted: Sequence[str]) -> None:
    """Freeze what is not wanted: `head`, `last_block`, or patterns of parameter names. A frozen parameter gets no gradient
    and no place in the optimizer, so nothing can move it, weight decay included."""
    named = dict(thinker.named_parameters())
    parts = {"head": _head(thinker), "last_block": _last_block(thinker)}
    kept: set[int] = set()
    for pattern in wanted:
        found = {id(p) for p in parts[pattern].parameters()} if pattern in parts else set()
        found |= {id(p) for name, p in named.items() if fnmatchcase(name, pattern)}
        if not found:
            raise _nothing_matches(pattern, list(named))
        kept |= found
    if "head" in wanted and thinker.door.embedding.weight is parts["head"].weight:
        raise TacitError(
            "model.train_only: head would train the embeddings too, since both are one table in this model. Leave head out, "
            f"or name the table itself: {next(name for name, p in named.items() if p is parts['head'].weight)}"
        )
    for p in named.values():
        p.requires_grad_(id(p) in kept and p.requires_grad)


def _head(thinker: Thinker) -> nn.Module:
    return thinker.model.get_output_embeddings()


def _last_block(thinker: Thinker) -> nn.Module:
    """The last member of the body's outermost list of modules, whatever its family calls them."""
    lists = [m for m in thinker.door.body.modules() if isinstance(m, nn.ModuleList)]
    return lists[0][-1] if lists else nn.Module()


def _nothing_matches(pattern: str, names: list[str], field: str = "model.train_only") -> TacitError:
    if pattern == "last_block" and field == "model.train_only":
        return TacitError(
            "model.train_only: last_block: the layers of this model are no separate modules; name parameters instead, such as "
            f"{', '.join(names[-SHOWN:])}"
        )
    listed = ", ".join(names[:SHOWN]) + (f", … ({len(names)} in all)" if len(names) > SHOWN else "")
    parts = ["head", "last_block"] if field == "model.train_only" else []
    return TacitError(
        f"{field}: no parameter's name matches {pattern!r}{nearest(pattern, [*parts, *names])}. Set "
        f"{', '.join([*parts, ''])}{'or ' * bool(parts)}a pattern such as *.mlp.* for names like {listed}"
    )


def parameter_groups(module: nn.Module, decay: float, factors: Sequence[tuple[str, float]] = ()) -> list[dict]:
    """Matrices decay; vectors (biases, norms) and embeddings do not. `factors` on the learning rate are given by patterns of
    names.

    An embedding's row is learned only where its token occurs. Decay would shrink the others all the same: the thought
    tokens' rows among them, as long as a curriculum does without thoughts.
    """
    tables = {id(p) for m in module.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    learned = trainable(module)
    for pattern, _ in factors:
        if not any(fnmatchcase(name, pattern) for name in learned):
            raise _nothing_matches(pattern, list(learned), "train.lr_of")
    for name, p in learned.items():
        # Adapters keep the rows of added tokens in a small table of their own.
        row_table = id(p) in tables or "trainable_tokens" in name
        factor = [1.0, *(factor for pattern, factor in factors if fnmatchcase(name, pattern))][-1]
        groups.setdefault((p.ndim >= 2 and not row_table, factor), []).append(p)
    return [
        {"params": groups[decays, factor], "weight_decay": decay if decays else 0.0, "factor": factor}
        for decays, factor in sorted(groups, key=lambda group: (not group[0], group[1]))
    ]


def make_optimizer(module: nn.Module, train: Train) -> torch.optim.Optimizer:
    """AdamW, over everything that is learned."""
    groups = parameter_groups(module, train.weight_decay, train.lr_of)
    if not groups:
        raise TacitError("no parameter is learned: the whole model is frozen. Set model.lora, or train all weights")
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=train.lr, betas=train.betas, fused=True)
    if not all(p.is_cuda for group in groups for p in group["params"]):
        raise TacitError(
            "adamw_8bit keeps its averages in 8 bits on CUDA only, and this is no CUDA device; set train.optimizer: adamw"
        )
    return import_module("bitsandbytes.optim").AdamW8bit(groups, lr=train.lr, betas=train.betas)


def learning_rate(train: Train, step: int, steps: int, began: int) -> float:
    """The rate of a step, counted from 0. `began` is the step in which its stage began.

    The decay spans the whole run, so a warm-up that is repeated at every stage rises to a lower peak each time.
    """
    since = step - began if train.warmup_per_stage else step
    warm = min(1.0, (since + 1) / train.warmup) if train.warmup else 1.0
    begin = max(train.warmup, round(train.decay_from * steps))
    gone = max(0, step - begin) / max(1, steps - begin)
    left = {"constant": 1.0, "linear": 1.0 - gone, "cosine": (1.0 + math.cos(math.pi * gone)) / 2}[train.schedule]
    return train.lr * warm * (left + (1.0 - left) * train.decay_to)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def forget(optimizer: torch.optim.Optimizer) -> None:
    """Drop the running averages; the next step starts them anew."""
    optimizer.state.clear()


def clip(parameters: Sequence[nn.Parameter], most: float | None) -> float:
    """The norm of all gradients together, before they are scaled down to `most`."""
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if most is not None:
        nn.utils.clip_grads_with_norm_(parameters, most, norm)
    return float(norm)
