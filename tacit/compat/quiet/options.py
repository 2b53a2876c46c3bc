"""Every option of the published configuration: its type, its default, what it means; and the named groups of values on top."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tacit.compat.values import count, natural, number, one_of, positive, whole
from tacit.quiet.roles import SHARINGS


def share(text: str) -> float:
    if not 0 <= (value := number(text)) < 1:
        raise ValueError("a number from 0 to below 1 is expected")
    return value


def yes(text: str) -> bool:
    known = {"true": True, "false": False}
    if text.lower() not in known:
        raise ValueError("True or False is expected")
    return known[text.lower()]


def run_or_yes(text: str) -> bool | str:
    """True: the run that the same options make; anything else is a folder."""
    return yes(text) if text.lower() in ("true", "false") else text


def groups(text: str) -> str:
    """Four letters as a list, with the quotes that a shell leaves or takes away."""
    letters = "".join(part.strip().strip("'\"") for part in text.strip("[]").split(","))
    if letters not in SHARINGS:
        raise ValueError(f"one of {', '.join(SHARINGS)} is expected, as a list such as [A,B,C,D]")
    return letters


class Option(NamedTuple):
    """One option: how a word is read, and its value where nothing sets it."""

    read: Callable[[str], Any]
    default: Any


MODELS = ("reint", "quietdiscreteG", "G", "T", "quietdiscreteT")
MODELS += ("rgruhtilda", "rgruhtildar", "rgruh", "rgruhr", "rgrui")
REQUIRED = object()
"""The default of an option that must be given."""

OPTIONS: dict[str, Option] = {
    "model_type": Option(one_of(*MODELS), None),
    "seed": Option(natural, 7),
    "dataset": Option(one_of("shake", "fw"), "shake"),
    "data_file_path": Option(str, None),
    "seq_len": Option(count, 128),
    "data_loader_batch_size": Option(count, 128),
    "num_workers": Option(natural, 0),
    "epochs": Option(count, 50),
    "max_steps": Option(whole, -1),
    "base_lr": Option(positive, 1e-3),
    "use_scheduler": Option(yes, False),
    "clip_gradients": Option(number, 0.0),
    "grad_acc": Option(count, 1),
    "auto_find_grad_acc": Option(yes, True),
    "parameter_groups": Option(one_of("0", "1"), "0"),
    "model_hidden_dim": Option(count, 100),
    "model_n_layer": Option(count, 2),
    "model_n_head": Option(count, 5),
    "dropout": Option(share, 0.0),
    "base_lm_hidden_dim": Option(count, REQUIRED),
    "reasoner_hidden_dim": Option(count, None),
    "interpreter_hidden_dim": Option(count, None),
    "weight_groups": Option(groups, "ABCD"),
    "simple_lm_head": Option(yes, False),
    "linear_lm_head": Option(yes, True),
    "share_lm_head": Option(yes, False),
    "mix_interpeter_base_lm": Option(one_of("0", "1", "2"), "0"),
    "use_base_lm": Option(yes, True),
    "use_reasoner": Option(yes, True),
    "neuter_dropout_base": Option(share, 0.0),
    "stage_wise_downproject_interpreter_rep": Option(yes, False),
    "infer_pretrained_base": Option(run_or_yes, False),
    "infer_pretrained_reasoner": Option(run_or_yes, False),
    "infer_pretrained_base_reasoner": Option(run_or_yes, False),
    "trice_samples": Option(count, 10),
    "train_nll_num": Option(count, None),
    "max_reasoning_len": Option(natural, 10),
    "variable_len": Option(yes, False),
    "policy_loss_beta": Option(number, 1.0),
    "nll_loss_beta": Option(number, 1.0),
    "entropy_encouragement_coef": Option(number, 0.0),
    "only_positive": Option(yes, False),
    "punish_unfinished": Option(number, 0.0),
    "schedule_punfinished": Option(yes, True),
    "length_penalty": Option(number, 0.0),
    "add_last_context_token": Option(yes, True),
    "add_surogate_loss_to_last_context_token": Option(yes, False),
    "last_context_loss_beta": Option(number, 1.0),
    "increment_pos_id_for_last_context_token": Option(yes, False),
    "different_eot": Option(yes, True),
    "use_residual": Option(yes, False),
    "n_tokens_ahead": Option(count, 1),
    "debug_cfg": Option(one_of("", "seperateInterpreter"), ""),
    "experiment_logger": Option(one_of("wandb", "offlinelogger"), None),
    "info": Option(str, ""),
    # Ours: what the original did by mistake, and the reasoner's head of the earlier results.
    "legacy": Option(yes, False),
    "reasoner_lm_head": Option(one_of("linear", "mlp"), "mlp"),
    "baseline": Option(one_of("mean", "loo", "null", "ema"), "mean"),
}


class Modifier(NamedTuple):
    """A named group of values over those that it inherits."""

    values: Mapping[str, Any]
    inherits: tuple[str, ...] = ()
    same_widths: bool = False
    """Reasoner and interpreter are as wide as the base model."""


RI = "ReasonerInterpreterGRURunConfig"
LATER = {"use_scheduler": True, "base_lr": 5e-3, "clip_gradients": 1.0, "dataset": "fw", "max_steps": 2700}
"""What the later experiments have in common."""
VARIABLE = {"base_lm_hidden_dim": 32, "reasoner_hidden_dim": 256, "simple_lm_head": True, "share_lm_head": False}
VARIABLE |= {"linear_lm_head": False, "variable_len": True, "mix_interpeter_base_lm": "2", "trice_samples": 10, **LATER}

MODIFIERS: dict[str, Modifier] = {
    RI: Modifier(
        {"model_type": "reint", "base_lm_hidden_dim": 100, "reasoner_hidden_dim": 100, "weight_groups": "ABCD"}
    ),
    "InterpreterLowVarGRURunConfig": Modifier({"use_base_lm": False, "trice_samples": 100}, (RI,)),
    "InterpreterGRURunConfig": Modifier({"use_reasoner": False}, (RI,)),
    "QuietSTaRDiscreteRunConfig": Modifier({"model_type": "quietdiscreteG", "model_hidden_dim": 100}),
    "QuietSTaRDiscreteTRunConfig": Modifier(
        {"model_type": "quietdiscreteT", "model_hidden_dim": 100, "model_n_layer": 2, "model_n_head": 5}
    ),
    "TLMRunConfig": Modifier({"model_type": "T", "model_hidden_dim": 100, "model_n_layer": 2, "model_n_head": 5}),
    "GLMRunConfig": Modifier({"model_type": "G"}),
    "QuietSTaRGRURunConfig": Modifier({"model_type": "rgruhtilda"}),
    "SameHdim": Modifier({}, same_widths=True),
    "GRUSeparateScaleExperiment": Modifier(
        {
            "dataset": "fw",
            "trice_samples": 2,
            "max_steps": 2700,
            "simple_lm_head": True,
            "share_lm_head": True,
            "use_scheduler": True,
            "base_lr": 5e-3,
        },
        ("SameHdim",),
    ),
    "GRUShakeSeparateScaleExperiment": Modifier(
        {
            "simple_lm_head": True,
            "share_lm_head": True,
            "linear_lm_head": False,
            "base_lm_hidden_dim": 32,
            "reasoner_hidden_dim": 256,
        },
        (RI,),
    ),
    "GRUVarLenScaleExperiment": Modifier(VARIABLE, (RI,)),
    "GRUBaseInterpreterScaleExperiment": Modifier(VARIABLE, (RI,), same_widths=True),
    "GRUConcatExperiment": Modifier(
        VARIABLE | {"simple_lm_head": False, "mix_interpeter_base_lm": "0", "reasoner_hidden_dim": 32}, (RI,)
    ),
    "GRUPretrainReasonerExperiment": Modifier(
        {"simple_lm_head": True, "linear_lm_head": True, **LATER}, ("GLMRunConfig",)
    ),
    "DebugRunConfig": Modifier(
        {
            "base_lm_hidden_dim": 32,
            "reasoner_hidden_dim": 256,
            "infer_pretrained_base_reasoner": True,
            "seed": 1,
            "experiment_logger": "offlinelogger",
        },
        ("GRUConcatExperiment",),
    ),
}


def modified(names: tuple[str, ...]) -> tuple[dict[str, Any], bool]:
    """The values of modifiers, later ones over earlier ones, and whether all roles are of one width."""
    values: dict[str, Any] = {}
    same = False
    for name in names:
        modifier = MODIFIERS[name]
        inherited, above = modified(modifier.inherits)
        values |= {**inherited, **modifier.values}
        same = same or above or modifier.same_widths
    return values, same
