"""Layers on layers: what a later one changes, and what it leaves behind.

Plain values are simply replaced. Three things are not plain. A new `method.name` has other fields than the old one, a new
`model.tiny.family` other sizes, and `model.path` stands instead of `model.tiny`: values that were inherited for the old
choice would only be in the way, so they are dropped. Values that stand in the same layer as the new choice were meant, and
stay to be judged.
"""

from typing import Any

from tacit.models.scratch import FAMILIES, OPTIONAL
from tacit.recipe.choice import REGISTRIES
from tacit.recipe.reader import Layer, flatten, put
from tacit.registry import resolve

RIVALS = [
    ("model.path", "model.tiny", ["model.tokenizer", "model.vocabulary", "model.parts"]),
    ("model.tiny", "model.path", ["model.revision", "model.init_tokens", "model.fresh", "model.positions"]),
    ("train.steps", "train.epochs", []),
    ("train.epochs", "train.steps", []),
]
"""Setting the first replaces the second, together with what only made sense beside it."""


def overlay(base: Layer, top: Layer) -> Layer:
    """Both layers in one; the top one wins, place by place."""
    gone = outdated(base, top)
    merged = {path: setting for path, setting in base.items() if path not in gone}
    for path, setting in top.items():
        put(merged, path, setting.value, setting.origin)
    return merged


def outdated(base: Layer, top: Layer) -> set[str]:
    """The inherited paths that the choices of the top layer make meaningless."""
    left = set()
    for chosen, rival, company in RIVALS:
        if _under(chosen, top) and _under(rival, base):
            left |= {path for gone in [rival, *company] for path in _under(gone, base)}
    for kind, registry in REGISTRIES.items():
        name, old = top.get(f"{kind}.name"), base.get(f"{kind}.name")
        if name and old and name.value != old.value:
            known = _fields(registry, kind, name.value)
            left |= {path for path in _under(kind, base) if path.split(".")[1] not in known}
    if family := top.get("model.tiny.family"):
        left |= {f"model.tiny.{size}" for size in not_in(family.value)} & base.keys()
    return left - {f"{kind}.name" for kind in REGISTRIES}


def _under(group: str, layer: Layer) -> list[str]:
    """The paths at or below a group that hold something; null takes nothing's place."""
    return [
        path
        for path, setting in layer.items()
        if (path == group or path.startswith(f"{group}.")) and (path != group or setting.value is not None)
    ]


def _value(path: str, layer: Layer) -> Any:
    return layer[path].value if path in layer else None


def _symbolic(layer: Layer) -> bool:
    """Whether texts are words of a fixed vocabulary, by the recipe or else by its task."""
    if "template.kind" in layer:
        return layer["template.kind"].value == "symbolic"
    name = layer["task.name"].value if "task.name" in layer else None
    if not isinstance(name, str) or name not in REGISTRIES["task"]:
        return False
    return resolve(REGISTRIES["task"], name, "task").model_fields["template"].default.kind == "symbolic"


def _fields(registry: Any, kind: str, name: Any) -> set[str]:
    """No fields for an unknown name: it is a fault of its own, and the old fields would only add noise."""
    return set(resolve(registry, name, kind).model_fields) if isinstance(name, str) and name in registry else set()


def not_in(family: Any) -> frozenset[str]:
    """The sizes that a family of models from scratch does not have; none for an unknown one, as for unknown names."""
    return OPTIONAL - FAMILIES[family].has if isinstance(family, str) and family in FAMILIES else frozenset()


SIZES = ("model.tiny.hidden", "model.tiny.heads", "model.tiny.kv_heads", "model.tiny.mlp")


STAND_INS = ("gsm8k", "math")
"""Tasks on the hub that `--tiny` replaces by the generator of similar rows."""


def shrink(layer: Layer, given: Layer | None = None) -> Layer:
    """`given` is what stands on top. What `--tiny` makes of a recipe: two layers, 32 examples and two steps, whatever they were.

    What depends on the size of the model, the batch or the device goes back to its smallest form, so that every recipe
    runs on a CPU in seconds. The family of a model from scratch, precision and adapters stay, and so are tried.
    """
    values: dict[str, Any] = {
        "model.tiny.layers": 2,
        "train.steps": 2,
        "train.limit": 32,
        "eval.limit": 32,
        "eval.max_tokens": 16,
    }
    values |= {"train.batch": 8, "train.micro_batch": "auto", "train.tokens_per_batch": None}
    values |= {"train.warmup": 0, "train.warmup_per_stage": False, "train.optimizer": "adamw", "train.track": "none"}
    values |= {"model.attention": "auto"}
    for path in (f"task.{split}_rows" for split in ("train", "valid", "test")):
        if path in layer and isinstance(layer[path].value, int):
            values[path] = min(32, layer[path].value)
    if _under("model.path", layer):
        # Any text can be written in byte pairs, and in far fewer of them than characters; symbols are words of their own.
        words = _symbolic(layer)
        values |= {"model.tokenizer": "word" if words else "bpe", "model.vocabulary": None if words else 512}
    if "task.name" in layer and layer["task.name"].value in STAND_INS and not _value("task.path", layer):
        # Hundreds of megabytes from the hub are no part of two steps; a generated look-alike is laid out the same way.
        layer = {path: setting for path, setting in layer.items() if not path.startswith("task.")}
        values["task.name"] = "arithmetic"
    own_text = any(path.startswith("task.") for path in given or ())
    if "task.name" in layer and layer["task.name"].value == "text" and not own_text:
        # Texts are files of the user's; where none are named beside --tiny, generated ones stand in.
        layer = {path: setting for path, setting in layer.items() if not path.startswith("task.")}
        values |= {
            "task.name": "written",
            "task.of.name": "modular",
            "task.of.train_rows": 32,
            "task.of.valid_rows": 32,
        }
    if "template.kind" in layer and layer["template.kind"].value == "chat":
        values["template.kind"] = "plain"
    if "method.preface" in layer:
        # Pages of instructions and long thoughts take as many reads of two layers as of twenty.
        values |= {"method.preface": "sums", "method.chat": False, "method.longest": 8}
    if "model.lora.targets" in layer:
        values["model.lora.targets"] = "auto"
    if _under("model.train_only", layer):
        # Names of parameters are a model's own, and the stand-in may share its head with the embeddings.
        values["model.train_only"] = ["last_block"]
    if "method.distance.blocks" in layer:
        values["method.distance.blocks"] = None  # there are but two layers to compare
    if _value("method.name", layer) == "unquiet":
        values["method.teacher"] = None  # the stand-in has other tokens than any teacher
    # Without the weights of an earlier run, there is nothing to wait for.
    rest = {path: setting for path, setting in layer.items() if path not in (*SIZES, "run.after")}
    return overlay(rest, flatten(values, "--tiny"))
