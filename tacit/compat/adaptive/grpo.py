"""The registries of reinforcement learning on the length of thought, and what their options become.

The published code counts completions where recipes count questions, and its options name a model where here a folder says
itself how its model thinks.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tacit.compat.adaptive import option
from tacit.compat.adaptive.option import Fields, Option, Registry, always, field
from tacit.errors import TacitError
from tacit.models.places import find_weights, is_folder_name

if TYPE_CHECKING:
    from tacit.compat.adaptive.plan import Plan

MODEL, PATH = "MODEL_PATH_OR_REPO", "model.path"
COMPLETIONS = "completions"
"""What no recipe has: it is divided by the size of a group."""
ACTOR = "method.actor"


def _reward(name: str) -> Any:
    return lambda value: {f"method.reward.{name}": float(value)}


def _last(percent: int) -> Fields:
    return {"task.part": [1 - percent / 100, 1.0]}


def _stop_temperature(value: float) -> Fields:
    return {f"{ACTOR}.thoughts.confine": True, f"{ACTOR}.thoughts.stop_temperature": float(value)}


TRAINING: Registry = (
    Option("model-WORD", lambda name: {PATH: f"checkpoints/{name}/merged"}),
    Option("slice_proportion_COUNTp", _last),
    Option("batch_size_COUNT", field(COMPLETIONS)),
    Option("rel_len_penalty_NUMBER", _reward("shorter")),
    Option("rel_len_reward_NUMBER", _reward("longer")),
    Option("rel_len_reward_same", always({"method.reward.longer": "same"})),
    Option("rel_len_acc_req_ALL", always({"method.reward.required": 1.0})),
    Option("rel_len_acc_req_NUMBER", _reward("required")),
    Option("binary_head_temp_NUMBER", _stop_temperature),
)

STANDARD: dict[str, Any] = {
    "train.warmup": 1000,
    "train.precision": "bf16",
    "method.max_tokens": 40,
    "eval.best_metric": "accuracy",
}

CONFIG: Registry = (
    Option("standard-1a", always(STANDARD)),
    Option("cosine_lr", always({"train.schedule": "cosine"})),
    Option("constant_lr", always({"train.schedule": "constant"})),
    Option("lr_NUMBER", lambda x: {"train.lr": float(x)}),
    Option("weight_decay_NUMBER", lambda x: {"train.weight_decay": float(x)}),
    Option("beta_NUMBER", lambda x: {"method.kl": float(x)}),
    Option("temp_NUMBER", lambda x: {"method.temperature": float(x)}),
    Option("steps_COUNT", field("train.steps")),
    Option("eval_steps_COUNT", field("eval.every")),
    Option("save_steps_COUNT", field("train.save_every")),
    Option("no_save_limit", always({"train.keep": None})),
    Option("num_gen_COUNT", field("method.group")),
)

UNSAID = option.UNSAID | {
    "method.name": "grpo",
    "method.group": 8,
    "method.kl": 0.0,
    "method.temperature": 1.0,
    "method.max_tokens": 256,
    "train.schedule": "linear",
    "method.reward.shorter": 0.0,
    "method.reward.longer": 0.0,
    "method.reward.required": 1.0,
    "train.max_length": 100,
    "train.keep": 3,
}
"""What holds where no option says otherwise; a question of more than 100 tokens is left out."""


def translate(made: "Plan", variables: Mapping[str, str], faults: list[str]) -> None:
    """Everything but what both scripts have in common."""
    from tacit.compat.adaptive.plan import merged

    made.put(UNSAID, "no option")
    if MODEL in variables:
        made.put({PATH: variables[MODEL]}, MODEL)
    chosen = [one for one in made.chosen if MODEL not in variables or PATH not in one.fields]
    named = next((one.name.partition("-")[2] for one in reversed(made.chosen) if PATH in one.fields), None)
    # How the model thinks comes first, so that options may change it.
    stopping = [one for one in chosen if any(path.startswith(ACTOR) for path in one.fields)]
    merged([one for one in chosen if one not in stopping], made)
    _model(made, named, faults)
    merged(stopping, made)
    _rewards(made)
    _counts(made, faults)


def _model(made: "Plan", named: str | None, faults: list[str]) -> None:
    """How the model thinks and which words it was trained with: its folder says so, or the recipe of its name."""
    path = made.values.get(PATH)
    if path is None:
        faults.append(f"TRAINING_CONFIG_OPTIONS: nothing says which model; add model-latent-6, say, or set {MODEL}")
        return
    origin = made.origins[PATH]
    try:
        about = _facts(path, named)
    except TacitError as error:
        faults.append(f"{origin}: {error}")
        return
    method = about["method"]
    made.put({ACTOR: method.get("actor", method)}, origin)
    made.put({f"template.{name}": words for name, words in about["template"].items()}, origin)
    if origin != MODEL and not Path(path).is_dir():
        made.notes.append(
            f"{origin}: is taken to be {path}, which tacit merge checkpoints/{named} {path} makes; {MODEL} names another"
        )


def _facts(path: str, named: str | None) -> dict[str, Any]:
    from tacit.models.folder import read_facts
    from tacit.recipe import load
    from tacit.recipe.sources import names

    if Path(path).is_dir() or not is_folder_name(path):
        facts = read_facts(find_weights(path))
        if facts is None or "method" not in facts:
            raise TacitError(f"{path} does not say how it thinks; name a model that tacit trained")
        return facts
    if f"adaptive/{named}" not in names():
        raise TacitError(f"there is no folder {path}; train the model and merge it: tacit merge RUN {path}")
    recipe = load(f"adaptive/{named}", disk=False).recipe
    return {
        "method": recipe.method.model_dump(mode="json"),
        "template": recipe.template.model_dump(mode="json", exclude_none=True),
    }


def _rewards(made: "Plan") -> None:
    if made.values["method.reward.longer"] == "same":
        made.values["method.reward.longer"] = made.values["method.reward.shorter"]


def _counts(made: "Plan", faults: list[str]) -> None:
    """Completions to questions, and as many checkpoints as there will be."""
    group = made.values["method.group"]
    completions = made.values.pop(COMPLETIONS, None)
    origin = made.origins.pop(COMPLETIONS, "")
    if completions is None:
        faults.append("TRAINING_CONFIG_OPTIONS: nothing says how many completions a step has; add batch_size_128, say")
    elif group > 0 and completions % group:
        faults.append(f"{origin}: {completions} completions are no whole groups of {group}; set num_gen_16, say")
    elif group > 0:  # else the group itself is told
        made.put({"train.batch": completions // group}, origin)
    if made.values["train.keep"] is None:
        made.values["train.keep"] = max(1, made.values.get("train.steps", 1) // (made.values["train.save_every"] or 1))
