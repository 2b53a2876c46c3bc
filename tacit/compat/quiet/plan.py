"""From the options of one run to a recipe."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BASE = "fragments/laboratory"
"""What all runs of the laboratory have in common."""
BLOCKS = 6972
"""Training pieces of 128 characters in the published text."""
CURRICULUM, DECAY = 10, 0.99996
"""Where the length curriculum begins, and how much of it is left after ten rows."""
GAUSSIAN = {
    "rgruhtilda": ("candidate", "score"),
    "rgruhtildar": ("candidate", "pathwise"),
    "rgruh": ("state", "score"),
    "rgruhr": ("state", "pathwise"),
    "rgrui": ("nothing", "pathwise"),
}
"""The kinds of model with drawn states: what is drawn, and how that is learned."""


@dataclass
class Plan:
    """A recipe in the making."""

    values: dict[str, Any] = field(default_factory=dict)
    """What is set over `BASE`, by dotted path."""
    notes: list[str] = field(default_factory=list)
    """What the user should know, a line each."""
    faults: list[str] = field(default_factory=list)
    unread: frozenset[str] = frozenset()
    """Options on which nothing depended."""
    inferred: dict[str, str] = field(default_factory=dict)
    """Parts whose folder was not given but follows from the options."""

    def put(self, section: str, **values: Any) -> None:
        self.values |= {f"{section}.{name}": value for name, value in values.items()}


class Options(dict[str, Any]):
    """The options of a run; they remember which of them were asked for."""

    def __init__(self, options: Mapping[str, Any]):
        super().__init__(options)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)


def plan(options: Mapping[str, Any], same_widths: bool) -> Plan:
    """The recipe of a run; its faults are left in it."""
    told = Options(options)
    made = _planned(told, same_widths)
    made.unread = frozenset(told.keys() - told.read)
    return made


def _planned(options: Options, same_widths: bool) -> Plan:
    made = Plan()
    kind = options["model_type"]
    _task(made, options)
    _optimisation(made, options, _size(options))
    if kind is None:
        made.faults.append(
            "run_modifier: none of the modifiers says what model to build; add one such as RI or GLMRunConfig"
        )
    elif kind == "reint":
        _roles(made, options, same_widths)
    elif kind == "quietdiscreteG":
        _one_network(made, options)
    elif kind == "G":
        if "base_lm_hidden_dim" not in options:
            made.faults.append("base_lm_hidden_dim: missing; GLMRunConfig has no width of its own")
            return made
        _plain(made, options, options["base_lm_hidden_dim"], levels=0)
    elif kind in ("T", "quietdiscreteT"):
        _transformer(made, options)
    else:
        _gaussian(made, options, *GAUSSIAN[kind])
    return made


def _size(options: Options) -> int:
    """Steps of the run, or 0 where only epochs are known."""
    steps, batch = options["max_steps"], options["data_loader_batch_size"]
    if steps == -2:
        return 2700
    if steps > 0:
        return steps
    return options["epochs"] * math.ceil(BLOCKS / batch) if options["dataset"] == "shake" else 0


def _task(made: Plan, options: Options) -> None:
    made.put("run", name=options["info"].replace("\\", "").strip("[]_ ") or None)
    made.put("task", length=options["seq_len"])
    if options["dataset"] == "fw":
        made.put("task", path=options["data_file_path"], cut="crops", rare=100)
        if options["data_file_path"] is None:
            # As many pages as one pass of 2,700 steps needs, and 1,500 to measure.
            made.put(
                "task", hub="HuggingFaceFW/fineweb", config="sample-10BT", most=450_000, shares=[0.8, 0.0033, 0.1967]
            )
    elif options["data_file_path"] is not None:
        made.put("task", path=options["data_file_path"])


def _optimisation(made: Plan, options: Options, steps: int) -> None:
    batch, most = options["data_loader_batch_size"], options["max_steps"]
    made.put("train", seed=options["seed"], batch=batch, lr=options["base_lr"], clip=options["clip_gradients"] or None)
    if most < -2 or most == 0:
        made.faults.append(f"max_steps: {most} is neither -1 (epochs), -2 (the same 100 batches) nor a number of steps")
    if steps:
        made.put("train", steps=steps)
    else:
        made.put("train", epochs=float(options["epochs"]))
    if most == -2:
        made.put("train", limit=100 * batch)
    if options["use_scheduler"]:
        made.put("train", schedule="linear", warmup=round(0.1 * steps))
        if not steps:
            made.faults.append("use_scheduler: needs max_steps, since the warm-up is a tenth of all steps")
    if options["grad_acc"] > 1:
        made.put("train", micro_batch=max(1, batch // options["grad_acc"]))
    if options["experiment_logger"] == "wandb":
        made.put("train", track="wandb")


def _plain(made: Plan, options: Options, width: int, levels: int) -> None:
    made.put("model.tiny", family="roles", hidden=width, head="linear" if options["linear_lm_head"] else "mlp")
    made.put("model.tiny.roles", thinks=False, levels=levels)
    made.put("method", name="quiet")


def _roles(made: Plan, options: Options, same_widths: bool) -> None:
    base = options["base_lm_hidden_dim"]
    width = base if same_widths else options["reasoner_hidden_dim"] or base
    if not options["use_reasoner"]:
        _plain(made, options, base, levels=5)
        made.put("model.parts", **_parts(made, options, width, same_widths))
        return
    if not same_widths and options["interpreter_hidden_dim"] not in (None, width):
        made.faults.append(
            f"interpreter_hidden_dim: {options['interpreter_hidden_dim']} is another width than reasoner_hidden_dim: {width}"
        )
    _one_ahead(made, options)
    join = _join(made, options) if options["use_base_lm"] else "alone"
    shared = options["share_lm_head"]
    made.put("model.tiny", family="roles", hidden=base, head="linear" if options["linear_lm_head"] else "mlp")
    made.put(
        "model.tiny.roles",
        reasoner=None if width == base else width,
        groups=options["weight_groups"],
        join=join,
        reasoner_head="shared" if shared else options["reasoner_lm_head"],
        base_dropout=options["neuter_dropout_base"],
        halving=options["stage_wise_downproject_interpreter_rep"],
    )
    if join == "warm_gate":
        made.put("model.tiny.roles", gate_half_life=_half_life(options))
    if options["parameter_groups"] == "1":
        _rates(made, options, join, 4.0 * base / width)
    if parts := _parts(made, options, width, same_widths):
        made.put("model.parts", **parts)
    _thinking(made, options)


def _join(made: Plan, options: Options) -> str:
    mix = options["mix_interpeter_base_lm"]
    if options["simple_lm_head"]:
        return {"0": "add", "1": "gate", "2": "warm_gate"}[mix]
    if mix != "0":
        made.faults.append(f"mix_interpeter_base_lm: {mix} needs simple_lm_head=True")
    return "concat"


def _one_ahead(made: Plan, options: Options) -> None:
    if options["n_tokens_ahead"] != 1:
        made.faults.append("n_tokens_ahead: must be 1 for thoughts that are drawn")


def _half_life(options: Options) -> float:
    rows = options["data_loader_batch_size"] * options["trice_samples"]
    return round(math.log(0.5) / (rows / 10 * math.log(DECAY)), 3)


def _thinking(made: Plan, options: Options) -> None:
    legacy, length, variable = options["legacy"], options["max_reasoning_len"], options["variable_len"]
    if variable and not length:
        made.notes.append("variable_len: no effect with max_reasoning_len=0")
        variable = False
    made.put("method", name="quiet", length=length, samples=options["trice_samples"], variable=variable)
    made.put("method", words_only=not legacy, forgets=legacy and variable, counts_pads=legacy and variable)
    if variable and (length > CURRICULUM or (legacy and length != CURRICULUM)):
        made.put("method", starts_at=CURRICULUM, half_life=_half_life(options))
    objective = _objective(options)
    shaped = {name: options[name] for name in ("punish_unfinished", "length_penalty") if options[name]}
    if variable:
        objective |= {**shaped, "punish_ramp": options["schedule_punfinished"]}
    else:
        made.notes += [f"{name}: no effect without variable_len" for name in shaped]
    made.put("method.objective", **objective)
    _without_choices(made, options)


def _rates(made: Plan, options: Options, join: str, factor: float) -> None:
    """Everything but the base model and its head learns faster the narrower it is."""
    own = options["weight_groups"][0]
    letters = sorted(set(options["weight_groups"]) - {own})
    patterns = [f"*.networks.{letter}.*" for letter in letters]
    patterns += {"add": ["*.down.*"], "gate": ["*.gate.*"], "warm_gate": ["*.gate.*"]}.get(join, [])
    made.put("train", lr_of=[[pattern, factor] for pattern in patterns])


def _one_network(made: Plan, options: Options) -> None:
    width = options["model_hidden_dim"]
    if not options["use_reasoner"]:
        return _plain(made, options, width, levels=0)
    _one_ahead(made, options)
    apart = options["debug_cfg"] == "seperateInterpreter"
    if apart and options["use_base_lm"]:
        made.notes.append("debug_cfg: a separate interpreter begins afresh, as with use_base_lm=False")
    onward = options["use_base_lm"] and not apart
    made.put("model.tiny", family="roles", hidden=width, head="linear" if options["linear_lm_head"] else "mlp")
    made.put(
        "model.tiny.roles",
        groups="AAAB" if apart else "AAAA",
        join="alone",
        levels=0,
        interpreter="onward" if onward else "afresh",
        reasoner_head="linear" if apart else "shared",
    )
    _thinking(made, options)
    if options["variable_len"]:
        made.faults.append("variable_len: one network that plays all roles has thoughts of one length")
    made.put("method", drops_last=options["legacy"] and onward)


def _gaussian(made: Plan, options: Options, drawn: str, gradient: str) -> None:
    head = "linear" if options["linear_lm_head"] else "mlp"
    made.put("model.tiny", family="gaussian", hidden=options["model_hidden_dim"], head=head)
    made.put("model.tiny.gaussian", drawn=drawn)
    made.put("method", name="gaussian", samples=options["trice_samples"], gradient=gradient)
    made.put("method.objective", nll=options["nll_loss_beta"], learned=options["train_nll_num"])
    if gradient == "pathwise":
        return
    made.put("method", ahead=options["n_tokens_ahead"])
    made.put(
        "method.objective",
        policy=options["policy_loss_beta"] if options["trice_samples"] > 1 else 0.0,
        baseline=options["baseline"],
        only_positive=options["only_positive"],
    )


def _transformer(made: Plan, options: Options) -> None:
    made.put(
        "model.tiny",
        family="gpt2",
        layers=options["model_n_layer"],
        hidden=options["model_hidden_dim"],
        heads=options["model_n_head"],
        dropout=options["dropout"],
    )
    if options["model_hidden_dim"] % options["model_n_head"]:
        made.faults.append(
            f"model_n_head: {options['model_n_head']} heads cannot share a width of {options['model_hidden_dim']}"
        )
    if options["model_type"] == "T" or not options["use_reasoner"]:
        return made.put("method", name="plain")
    made.put("model.tiny", dropout=0.0)
    again, echoes = options["add_last_context_token"], options["add_surogate_loss_to_last_context_token"]
    if options["use_residual"] and echoes:
        made.faults.append("use_residual: excludes add_surogate_loss_to_last_context_token")
    if echoes and not again:
        made.faults.append("add_surogate_loss_to_last_context_token: needs add_last_context_token=True")
    _one_ahead(made, options)
    if options["variable_len"]:
        made.faults.append("variable_len: thoughts of transformers have one length")
    made.put(
        "method",
        name="quiet_star",
        length=options["max_reasoning_len"],
        samples=options["trice_samples"],
        reread=again,
        reread_step=int(again and options["increment_pos_id_for_last_context_token"]),
        apart=options["seq_len"] + 1,
        one_mark=not options["different_eot"],
        join="add" if options["use_residual"] else "after",
        echo=options["last_context_loss_beta"] if echoes and again and not options["use_residual"] else 0.0,
        words_only=not options["legacy"],
    )
    made.put("method.objective", **_objective(options))
    _without_choices(made, options)


def _objective(options: Options) -> dict[str, Any]:
    return {
        "policy": options["policy_loss_beta"],
        "nll": options["nll_loss_beta"],
        "learned": options["train_nll_num"],
        "baseline": options["baseline"],
        "only_positive": options["only_positive"],
        "entropy": options["entropy_encouragement_coef"],
    }


def _without_choices(made: Plan, options: Options) -> None:
    """Where nothing is chosen, or nothing is there to compare it with, nothing is learned of choosing."""
    alone = options["trice_samples"] == 1 and options["baseline"] in ("mean", "loo")
    if alone and options["max_reasoning_len"]:
        made.notes.append(
            "trice_samples=1: a thought is compared with others of its place, so nothing is learned of thinking"
        )
    if alone or not options["max_reasoning_len"]:
        made.put("method", samples=1)
        made.put("method.objective", policy=0.0, learned=None)


def _parts(made: Plan, options: Options, width: int, same_widths: bool) -> dict[str, str]:
    """Where pretrained roles come from: a folder that is given, or that of the run which the same laboratory made."""
    wanted = {
        "infer_pretrained_base": ("base", {"max_reasoning_len": 0}),
        "infer_pretrained_reasoner": ("reasoner", _donor(options, width)),
        "infer_pretrained_base_reasoner": ("base_reasoner", _donor(options, width)),
    }
    found: dict[str, str] = {}
    for name, (part, others) in wanted.items():
        if options[name] is False:
            continue
        if options[name] is not True:
            found[part] = str(options[name])
            continue
        source = plan({**options.copy(), **dict.fromkeys(wanted, False), **others}, same_widths)
        found[part] = made.inferred[part] = str(folder(source.values))
        told = " ".join(f"{key}={value}" for key, value in others.items())
        made.notes.append(f"{name}: {found[part]}, made by the same command with {told}")
    if "base" in found and len(found) > 1:
        made.faults.append("infer_pretrained_base: excludes a pretrained reasoner, as in the published code")
    return found


def _donor(options: Options, width: int) -> dict[str, Any]:
    """The plain language model that a reasoner comes from: its head becomes the reasoner's."""
    linear = options["reasoner_lm_head"] == "linear"
    return {"model_type": "G", "base_lm_hidden_dim": width, "linear_lm_head": linear}


def folder(values: Mapping[str, Any], runs: Path = Path("runs/quiet")) -> Path:
    """A short name that belongs to everything that is set: the kind of run, a hash and the seed."""
    told = {name: value for name, value in values.items() if name not in ("train.seed", "run.name", "train.track")}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:10]
    kind = (
        "plain"
        if values.get("model.tiny.roles.thinks") is False
        else values.get("model.tiny.roles.join", "states" if "model.tiny.gaussian.drawn" in values else "transformer")
    )
    return runs / f"{kind}-{values.get('model.tiny.hidden')}-{digest}-seed{values['train.seed']}"
