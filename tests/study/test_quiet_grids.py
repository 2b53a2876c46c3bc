"""The published settings: arms at the gpu scale are the recipes that the published commands make."""

import pytest

from tacit.compat.quiet.command import read
from tacit.compat.quiet.plan import BASE, plan
from tacit.recipe import load
from tacit.recipe.reader import flatten
from tacit.registry import resolve
from tacit.study.claims import CLAIMS

SEPARATE = "[ReasonerInterpreterGRURunConfig,GRUSeparateScaleExperiment]"
SHARED = "ReasonerInterpreterGRURunConfig simple_lm_head=True share_lm_head=True base_lm_hidden_dim=32"
SSS, VLS, CAT = (f"GRU{name}Experiment" for name in ("ShakeSeparateScale", "VarLenScale", "Concat"))
CURVE = f"{VLS} dataset=shake max_steps=-1 mix_interpeter_base_lm=0 reasoner_lm_head=linear"
RI = "ReasonerInterpreterGRURunConfig linear_lm_head=False reasoner_lm_head=linear"
COMMANDS = {
    ("quiet/1", "with 4"): f"{RI} base_lm_hidden_dim=4",
    ("quiet/1", "alone"): f"{RI} base_lm_hidden_dim=2 use_base_lm=False",
    ("quiet/3", "with 64"): f"{RI} base_lm_hidden_dim=64 reasoner_hidden_dim=1000 grad_acc=4",
    ("quiet/4", "thinks 512"): "QuietSTaRDiscreteRunConfig model_hidden_dim=512",
    ("quiet/4", "legacy, thinks 8"): "QuietSTaRDiscreteRunConfig model_hidden_dim=8 legacy=True",
    ("quiet/4", "reads 1024"): "QuietSTaRDiscreteRunConfig model_hidden_dim=1024 use_reasoner=False",
    ("quiet/5", "afresh 100"): "QuietSTaRDiscreteRunConfig policy_loss_beta=100 use_base_lm=False",
    ("quiet/6", "without 64"): "InterpreterGRURunConfig simple_lm_head=True base_lm_hidden_dim=64",
    ("quiet/8", "BACA 32"): f"{SHARED} reasoner_hidden_dim=32 weight_groups=[B,A,C,A]",
    ("quiet/9", "ABAC -1"): f"{SHARED} reasoner_hidden_dim=32 weight_groups=[A,B,A,C] policy_loss_beta=-1",
    ("quiet/9", "plain"): f"{SHARED} use_reasoner=False",
    ("quiet/10", "as wide, 0"): f"{SHARED} reasoner_hidden_dim=32 linear_lm_head=False policy_loss_beta=0",
    ("quiet/10", "of 100, 1"): f"{SHARED} linear_lm_head=False",
    ("quiet/18", "ABAC 256"): f"{SEPARATE} base_lm_hidden_dim=256 weight_groups=[A,B,A,C]",
    ("quiet/18", "ABCD 512, untaught"): f"{SEPARATE} base_lm_hidden_dim=512 policy_loss_beta=0",
    ("quiet/18", "plain 512"): "[GLMRunConfig,GRUSeparateScaleExperiment] base_lm_hidden_dim=512",
    ("quiet/19", "AAAA 128"): f"{SEPARATE} base_lm_hidden_dim=128 weight_groups=[A,A,A,A] max_steps=-2",
    ("quiet/19", "plain 128"): "[GLMRunConfig,GRUSeparateScaleExperiment] base_lm_hidden_dim=128 max_steps=-2",
    ("quiet/20", "web, 100"): f"{SSS} dataset=fw reasoner_hidden_dim=100 max_steps=2700",
    ("quiet/20", "web, plain 256"): f"[{SSS},GLMRunConfig] dataset=fw base_lm_hidden_dim=256 max_steps=2700",
    ("quiet/21", "256, 0.006"): f"{SSS} variable_len=True punish_unfinished=6e-3",
    (
        "quiet/21",
        "256, 0.004, falling rate",
    ): f"{SSS} variable_len=True punish_unfinished=.004 use_scheduler=True base_lr=.005",
    ("quiet/22", "reasoner 4096"): f"{SSS} variable_len=False reasoner_hidden_dim=4096",
    ("quiet/23", "reasoner 320"): f"{CURVE} reasoner_hidden_dim=320",
    ("quiet/23", "legacy, reasoner 1024"): f"{CURVE} reasoner_hidden_dim=1024 legacy=True",
    ("quiet/23", "reasoner 512, twenty"): f"{CURVE} reasoner_hidden_dim=512 trice_samples=20",
    ("quiet/23", "empty"): f"{CURVE} reasoner_hidden_dim=1 max_reasoning_len=0",
    ("quiet/25", "warm_gate 2048"): f"{VLS} dataset=shake max_steps=-1 max_reasoning_len=0 reasoner_hidden_dim=2048",
    (
        "quiet/28",
        "gate 128, 0.0016",
    ): f"{VLS} reasoner_hidden_dim=128 mix_interpeter_base_lm=1 entropy_encouragement_coef=.0016",
    (
        "quiet/28",
        "legacy, warm_gate 32, 0.0064",
    ): f"{VLS} reasoner_hidden_dim=32 entropy_encouragement_coef=.0064 legacy=True",
    ("quiet/29", "gate 0.0128, 1e-05"): f"{VLS} mix_interpeter_base_lm=1 max_reasoning_len=100 length_penalty=1e-5 "
    "entropy_encouragement_coef=.0128",
    ("quiet/30", "warm_gate 64"): "GRUBaseInterpreterScaleExperiment base_lm_hidden_dim=64",
    (
        "quiet/30",
        "gate 256, 5e-06",
    ): "GRUBaseInterpreterScaleExperiment base_lm_hidden_dim=256 mix_interpeter_base_lm=1 "
    "entropy_encouragement_coef=5e-6",
    ("quiet/31", "one rate 512"): f"{CAT} reasoner_hidden_dim=512",
    ("quiet/31", "scaled 128"): f"{CAT} reasoner_hidden_dim=128 parameter_groups=1",
    ("quiet/31", "legacy, scaled 512"): f"{CAT} reasoner_hidden_dim=512 parameter_groups=1 legacy=True",
    (
        "quiet/31",
        "long 64, 256, 50",
    ): f"{CAT} base_lm_hidden_dim=64 reasoner_hidden_dim=256 max_steps=5000 max_reasoning_len=50",
    (
        "quiet/31",
        "long 32, 512, 0",
    ): f"{CAT} base_lm_hidden_dim=32 reasoner_hidden_dim=512 max_steps=5000 max_reasoning_len=0",
    ("quiet/32", "bonus 0.0005"): f"[{CAT},SameHdim] base_lm_hidden_dim=32 entropy_encouragement_coef=.0005",
    ("quiet/33", "256, 0.875"): f"[{CAT},SameHdim] base_lm_hidden_dim=256 neuter_dropout_base=.875",
    ("quiet/34", "empty 16"): f"{CAT} base_lm_hidden_dim=16 reasoner_hidden_dim=256 max_reasoning_len=0",
    ("quiet/34", "pretrained 32"): f"{CAT} base_lm_hidden_dim=32 reasoner_hidden_dim=256",
    (
        "quiet/35",
        "alone, linear",
    ): f"{CAT} use_base_lm=False base_lm_hidden_dim=1 reasoner_hidden_dim=256 linear_lm_head=True",
    ("quiet/36", "plain"): "GRUPretrainReasonerExperiment base_lm_hidden_dim=256 linear_lm_head=False",
    ("quiet/36", "both 8, untaught"): f"{CAT} base_lm_hidden_dim=8 reasoner_hidden_dim=256 policy_loss_beta=0",
    ("quiet/37", "thoughts 128"): f"{CAT} base_lm_hidden_dim=128 reasoner_hidden_dim=256",
    ("quiet/g32", "plain"): "GLMRunConfig base_lm_hidden_dim=32",
}

ELSEWHERE = ("about", "run.", "train.seed", "task.path", "model.parts")


def recipe(base: str, values: dict) -> dict:
    """All that is trained, but for whose weights it begins with: those belong to another run."""
    found = {
        path: one.value
        for path, one in flatten(load(base, values, disk=False).recipe.model_dump(mode="json"), "").items()
    }
    if found["model.tiny.roles.join"] != "warm_gate":
        found = {path: value for path, value in found.items() if "gate_half_life" not in path}
    found["model.tiny.roles.reasoner"] = found["model.tiny.roles.reasoner"] or found["model.tiny.hidden"]
    return {path: value for path, value in found.items() if not path.startswith(ELSEWHERE)}


def by_command(words: str) -> dict:
    command = read([f"+run_modifier={words.split()[0]}", *words.split()[1:]])
    made = plan(command.runs[0], command.same_widths)
    assert not made.faults
    kept = {
        name: value for name, value in made.values.items() if value is not None or name in ("task.path", "train.clip")
    }
    return recipe(BASE, kept)


def by_claim(name: str, arm: str) -> dict:
    claim = resolve(CLAIMS, name, "claim")
    return recipe(claim.arms[arm].recipe, claim.settings("gpu")[arm])


@pytest.mark.parametrize("which", COMMANDS, ids=lambda which: ", ".join(which))
def test_an_arm_is_the_published_run(which):
    assert by_claim(*which) == by_command(COMMANDS[which])


@pytest.mark.parametrize("more", ["trice_samples=3", "base_lr=.004", "legacy=True", "weight_groups=[A,A,A,B]"])
def test_twin_another_option_is_another_run(more):
    which = ("quiet/18", "ABAC 256")
    assert by_claim(*which) != by_command(COMMANDS[which].replace("weight_groups=[A,B,A,C]", "") + f" {more}")


def test_the_published_seeds_and_grids():
    grids = {
        "quiet/1": {f"{way} {base}" for way in ("with", "without") for base in (2, 4, 8, 16, 32, 64)} | {"alone"},
        "quiet/4": {f"{way} {2**n}" for way in ("thinks", "legacy, thinks", "reads") for n in range(1, 12)},
        "quiet/34": {
            f"{way} {base}" for way in ("empty", "joint", "pretrained") for base in (1, 2, 4, 8, 16, 32, 64, 128, 256)
        },
    }
    for name, arms in grids.items():
        assert set(resolve(CLAIMS, name, "claim").arms_at("gpu")) == arms
    assert resolve(CLAIMS, "quiet/1", "claim").scale("gpu").seeds == (7, 8, 9)
