"""Which values cannot stand together, all in one place: plain conditions, each with a sentence and a remedy.

Limits of a single value are in the schema; what concerns one task or method alone is checked by its own class. A recipe
with faulty values is judged by what is left of it, and then its task or its method may be None.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from tacit.models.places import is_folder_name
from tacit.models.scratch import FAMILIES, Scratch
from tacit.quiet.roles import Parts
from tacit.recipe.schema import Model, Recipe
from tacit.recipe.sources import default_folder, names
from tacit.recipe.training import Train
from tacit.thinking import Thinking


class Conflict(NamedTuple):
    """Values that do not go together."""

    sentence: str
    paths: tuple[str, ...]
    """All fields that the sentence depends on; the fault is shown at the first that the recipe sets."""


BUILT = ("character", "word", "bpe")
"""Tokenizers that are built from the training examples."""


def impossible(recipe: Recipe) -> Iterator[Conflict]:
    """Combinations that cannot work on any machine."""
    yield from _model(recipe.model)
    if recipe.model.tiny:
        yield from _scratch(recipe.model.tiny)
    yield from _training(recipe.train)
    if recipe.method:
        yield from _thoughts(recipe)
        yield from _layers(recipe)
        yield from _late(recipe)
        yield from _together(recipe)
    model, train, evaluation = recipe.model, recipe.train, recipe.eval
    if train.precision == "bf16_weights" and model.dtype == "fp32":
        yield Conflict(
            "fp32 weights cannot be trained as bf16 weights; set model.dtype: auto, or train.precision: bf16",
            ("model.dtype", "train.precision"),
        )
    if model.dtype == "bf16" and model.lora is None and train.precision != "bf16_weights":
        yield Conflict(
            f"without lora all weights are trained, and train.precision {train.precision} keeps them in fp32; "
            "set model.dtype: auto, or train.precision: bf16_weights",
            ("model.dtype", "train.precision", "model.lora"),
        )
    if model.attention == "flash_attention_2" and train.precision == "fp32" and model.dtype != "bf16":
        yield Conflict(
            "flash attention computes in 16 bits only; set train.precision: bf16, or model.attention: sdpa",
            ("model.attention", "train.precision", "model.dtype"),
        )
    if evaluation.samples > 1 and evaluation.temperature == 0:
        yield Conflict(
            f"{evaluation.samples} samples at temperature 0 are all the same; set eval.temperature, or eval.samples: 1",
            ("eval.samples", "eval.temperature"),
        )


def _model(model: Model) -> Iterator[Conflict]:
    if model.path is None and model.tiny is None:
        yield Conflict(
            "there is no model; set model.path to a folder or hub id, or model.tiny: {layers: 2} for one from scratch",
            ("model.path", "model.tiny"),
        )
    if model.path is not None and model.tiny is not None:
        yield Conflict("model.path and model.tiny exclude each other; set one to null", ("model.path", "model.tiny"))
    if model.path is not None and model.tokenizer in BUILT:
        yield Conflict(
            f"existing weights know their own tokens, not those of a new {model.tokenizer} tokenizer; "
            "set model.tokenizer: auto",
            ("model.tokenizer", "model.path"),
        )
    if model.revision is not None and model.path is None:
        yield Conflict("a revision belongs to model.path, which is not set", ("model.revision", "model.path"))
    if model.lora is not None and model.tiny is not None and "heads" not in FAMILIES[model.tiny.family].has:
        yield Conflict(
            f"a {model.tiny.family} has no linear maps to adapt; set model.lora: null",
            ("model.lora", "model.tiny.family"),
        )
    if model.tiny is not None and model.fresh:
        yield Conflict("a model from scratch is fresh anyway; set model.fresh: false", ("model.fresh", "model.tiny"))
    if model.tiny is not None and model.positions is not None:
        yield Conflict(
            f"a model from scratch is built with its positions; set model.tiny.positions: {model.positions} instead",
            ("model.positions", "model.tiny"),
        )
    if model.lora is not None and (model.positions is not None or model.fresh):
        yield Conflict(
            "adapters stand beside the base as it was published, so neither its positions nor its weights can be other "
            "ones; set model.lora: null",
            ("model.lora", "model.positions", "model.fresh"),
        )
    if model.parts is not None and (model.tiny is None or model.tiny.family != "roles"):
        yield Conflict(
            "only models of family roles are made of parts; set model.parts: null, or model.tiny.family: roles",
            ("model.parts", "model.tiny.family"),
        )
    if model.train_only is not None and model.lora is not None:
        yield Conflict(
            "lora freezes all weights beside its adapters already; set model.train_only: null, or model.lora: null",
            ("model.train_only", "model.lora"),
        )
    if model.init_tokens != "mean" and model.tiny is not None:
        yield Conflict(
            "a model from scratch has no learned rows to start thought tokens from; set model.init_tokens: mean",
            ("model.init_tokens", "model.tiny"),
        )
    if model.tokenizer == "bpe" and model.vocabulary is None:
        yield Conflict(
            "a bpe tokenizer needs a size; set model.vocabulary: 2000, say", ("model.tokenizer", "model.vocabulary")
        )
    if model.vocabulary is not None and model.tokenizer != "bpe":
        yield Conflict(
            f"only a bpe tokenizer has a size to set, and model.tokenizer is {model.tokenizer}; "
            "set model.vocabulary: null, or model.tokenizer: bpe",
            ("model.vocabulary", "model.tokenizer"),
        )


def _scratch(tiny: Scratch) -> Iterator[Conflict]:
    for name, sentence in tiny.faults().items():
        yield Conflict(sentence, (f"model.tiny.{name}", "model.tiny.hidden", "model.tiny.family"))


BELONG = {"roles": "quiet", "gaussian": "gaussian"}
"""Families that think by themselves, each with the method that lets it."""


def _together(recipe: Recipe) -> Iterator[Conflict]:
    """A model that thinks for itself and the method that lets it belong together. What weights of a path are is seen when they
    are read."""
    tiny, name = recipe.model.tiny, recipe.method.name
    if tiny is None:
        return
    wanted, family = BELONG.get(tiny.family), next((one for one, method in BELONG.items() if method == name), None)
    if wanted != name and (wanted or family):
        remedy = f"set method.name: {wanted}, or model.tiny.family: gru instead of {tiny.family}"
        if family:
            remedy = f"set model.tiny.family: {family}, or another method"
        yield Conflict(
            f"method {name if family else wanted} belongs to models of family {family or tiny.family}, and neither goes "
            f"without the other, but these are {name} and {tiny.family}; {remedy}",
            ("method.name", "model.tiny.family"),
        )
    elif wanted:
        for field, sentence in recipe.method.settings.faults(tiny.own()).items():
            yield Conflict(sentence, (f"method.{field}", f"model.tiny.{tiny.family}"))


def _training(train: Train) -> Iterator[Conflict]:
    if train.steps is None and train.epochs is None:
        yield Conflict("there is no end to training; set train.steps or train.epochs", ("train.steps", "train.epochs"))
    if train.steps is not None and train.epochs is not None:
        yield Conflict(
            "train.steps and train.epochs exclude each other; set one to null", ("train.steps", "train.epochs")
        )
    micro = train.micro_batch
    if isinstance(micro, int) and micro < train.batch and train.batch % micro:
        yield Conflict(
            f"{train.batch} rows cannot be split into micro-batches of {micro}; set a divisor of it, or auto",
            ("train.micro_batch", "train.batch"),
        )
    if train.grow and train.epochs is not None:
        yield Conflict(
            "with train.grow the steps of an epoch become fewer as rows become shorter, so the end must be a number of "
            "steps; set train.steps instead of train.epochs",
            ("train.grow", "train.epochs"),
        )
    if train.grow and train.tokens_per_batch is not None:
        yield Conflict(
            "train.tokens_per_batch keeps the tokens of a step already; set train.grow: false, or leave it out",
            ("train.grow", "train.tokens_per_batch"),
        )
    if train.pack is not None and train.tokens_per_batch is not None:
        yield Conflict(
            "train.pack and train.tokens_per_batch both fill rows or steps with documents; set one of them to null",
            ("train.pack", "train.tokens_per_batch"),
        )
    if train.warmup_per_stage and train.warmup == 0:
        yield Conflict("there is no warm-up to repeat; set train.warmup", ("train.warmup_per_stage", "train.warmup"))
    for name, value in (("decay_to", train.decay_to), ("decay_from", train.decay_from)):
        if train.schedule == "constant" and value:
            yield Conflict(
                f"a constant learning rate does not decay; set train.schedule: cosine, or train.{name}: 0",
                (f"train.{name}", "train.schedule"),
            )


def _thoughts(recipe: Recipe) -> Iterator[Conflict]:
    """What will be done: as the method says, in the order that `train.latents` sets."""
    train, thinking, refused = recipe.train, recipe.thinking(), recipe.method.settings.refuses
    latents = train.latents
    if latents.schedule is not None:
        yield from (
            Conflict(sentence, ("train.latents.schedule",)) for sentence in (*_own(thinking), *refused(thinking))
        )
    if train.checkpointing and thinking.schedule != "recompute":
        able = not [*refused(thinking.model_copy(update={"schedule": "recompute"}))]
        other = "train.latents.schedule: recompute (same numbers; slower, but only where there are silent steps), or "
        yield Conflict(
            f"gradient checkpointing switches the model's cache off, and {thinking.schedule} silent steps need it; set "
            f"{other * able}train.checkpointing: false",
            ("train.checkpointing", "train.latents.schedule"),
        )
    if latents.schedule == "jacobi" and latents.rounds is None:
        yield Conflict(
            "jacobi needs its number of rounds; set train.latents.rounds: 3, say",
            ("train.latents.schedule", "train.latents.rounds"),
        )
    if latents.rounds is not None and thinking.schedule != "jacobi":
        yield Conflict(
            f"only jacobi goes in rounds, and the schedule is {thinking.schedule}; set train.latents.rounds: null",
            ("train.latents.rounds", "train.latents.schedule"),
        )
    own = getattr(recipe.method.settings, "thoughts", None)
    if isinstance(own, Thinking) and own.schedule != "jacobi" and own.rounds != Thinking().rounds:
        yield Conflict(
            f"only jacobi goes in rounds, and method.thoughts.schedule is {own.schedule}, so {own.rounds} rounds would change "
            "nothing; leave them out, or set method.thoughts.schedule: jacobi",
            ("method.thoughts.rounds", "method.thoughts.schedule"),
        )


def _layers(recipe: Recipe) -> Iterator[Conflict]:
    """Layers to compare that a model from scratch will not have. How many those of a path have is seen when they are read."""
    tiny, distance = recipe.model.tiny, getattr(recipe.method.settings, "distance", None)
    blocks = getattr(distance, "blocks", None)
    if tiny is not None and blocks is not None and blocks[1] >= tiny.layers:
        yield Conflict(
            f"layers {blocks[0]} to {blocks[1]} are to be compared, and model.tiny.layers: {tiny.layers} makes layers 0 to "
            f"{tiny.layers - 1}; name some of these, or null for all",
            ("method.distance.blocks", "model.tiny.layers"),
        )


def _late(recipe: Recipe) -> Iterator[Conflict]:
    """Written steps whose disappearance would begin when training is over."""
    method, steps = recipe.method.settings, recipe.train.steps
    for path, owner in (("from_step", method), ("removal.from_step", getattr(method, "removal", None))):
        begin = getattr(owner, "from_step", 0)
        if steps is not None and 0 < steps <= begin:
            yield Conflict(
                f"it would begin at step {begin}, and training ends after {steps}; set it lower, or train.steps higher",
                (f"method.{path}", "train.steps"),
            )


def _own(thinking: Thinking) -> Iterator[str]:
    """What the settings of thoughts themselves refuse, once the schedule is another one."""
    try:
        Thinking(**thinking.model_dump())
    except ValidationError as error:
        yield from (str(one.get("ctx", {}).get("error", one["msg"])) for one in error.errors())


def absent(recipe: Recipe) -> Iterator[Conflict]:
    """What this machine does not have: folders that another run should have made, and optional packages."""
    for path, given in (("model.path", recipe.model.path), ("model.tokenizer", recipe.model.tokenizer)):
        if path == "model.path" and recipe.run.after:
            continue  # it will be there when it is needed
        if given and is_folder_name(given) and not Path(given).expanduser().exists():
            maker = next((name for name in names() if f"{given}/".startswith(f"{default_folder(name)}/")), None)
            remedy = f"; train it first with tacit train {maker}" if maker else ""
            yield Conflict(f"{given} does not exist{remedy}", (path,))
    # Of a recipe with a faulty method, there is none.
    for path, sentence in recipe.method.settings.absent() if recipe.method else ():
        yield Conflict(sentence, (path,))
    teacher = getattr(recipe.method.settings, "teacher", None) if recipe.method else None
    given = teacher if isinstance(teacher, str) and is_folder_name(teacher) and not recipe.run.after else None
    if given is not None and not Path(given).expanduser().exists():
        yield Conflict(
            f"{teacher} does not exist; train it first, or set method.teacher to the folder of a run of quiet_star",
            ("method.teacher",),
        )
    yield from _absent_parts(recipe)
    if recipe.train.optimizer == "adamw_8bit" and find_spec("bitsandbytes") is None:
        yield Conflict("adamw_8bit needs the package bitsandbytes; install it, or set adamw", ("train.optimizer",))
    track = recipe.train.track
    if track != "none" and find_spec(track) is None:
        yield Conflict(f"{track} is not installed; pip install {track}, or set train.track: none", ("train.track",))


def _absent_parts(recipe: Recipe) -> Iterator[Conflict]:
    """Parts of a model that are not there, or do not fit into it."""
    given = (recipe.model.parts or Parts()).given()
    gone = [name for name, place in given.items() if is_folder_name(place) and not Path(place).expanduser().exists()]
    for name in gone:
        yield Conflict(f"{given[name]} does not exist; train it first", (f"model.parts.{name}",))
    tiny = recipe.model.tiny
    whole = recipe.method and recipe.task and tiny is not None and tiny.family == "roles" and not tiny.faults()
    if not given or gone or not whole:
        return

    from tacit.quiet.parts import faults_of_parts

    for name, sentence in faults_of_parts(recipe).items():
        yield Conflict(sentence, (f"model.parts.{name}",))
