"""The published commands of the laboratory, all of them: each is read, and every run of it is a sound recipe."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tacit.compat.quiet.command import read
from tacit.compat.quiet.run import main, resolved
from tacit.errors import TacitError
from tacit.quiet.roles import SHARINGS

NAMES = {
    "RI": "ReasonerInterpreterGRURunConfig",
    "QT": "QuietSTaRDiscreteTRunConfig",
    "VLS": "GRUVarLenScaleExperiment",
    "CAT": "GRUConcatExperiment",
    "TL": "TLMRunConfig",
    "SSS": "GRUShakeSeparateScaleExperiment",
    "SEP": "GRUSeparateScaleExperiment",
    "QG": "QuietSTaRDiscreteRunConfig",
    "IG": "InterpreterGRURunConfig",
    "GL": "GLMRunConfig",
    "BIS": "GRUBaseInterpreterScaleExperiment",
    "PRE": "GRUPretrainReasonerExperiment",
    "LV": "InterpreterLowVarGRURunConfig",
}

OPTIONS = {
    "base": "base_lm_hidden_dim",
    "reasoner": "reasoner_hidden_dim",
    "interpreter": "interpreter_hidden_dim",
    "width": "model_hidden_dim",
    "layers": "model_n_layer",
    "heads": "model_n_head",
    "len": "max_reasoning_len",
    "T": "trice_samples",
    "plb": "policy_loss_beta",
    "groups": "weight_groups",
    "share": "share_lm_head",
    "simple": "simple_lm_head",
    "linear": "linear_lm_head",
    "think": "use_reasoner",
    "see": "use_base_lm",
    "residual": "use_residual",
    "mix": "mix_interpeter_base_lm",
    "entropy": "entropy_encouragement_coef",
    "punish": "punish_unfinished",
    "variable": "variable_len",
    "again": "add_last_context_token",
    "eot": "different_eot",
    "again_beta": "last_context_loss_beta",
    "data": "dataset",
    "pre_base": "infer_pretrained_base",
    "pre_reasoner": "infer_pretrained_reasoner",
    "pre_reading": "infer_pretrained_base_reasoner",
    "partition": "hydra.launcher.partition",
    "shorter": "length_penalty",
    "drop": "neuter_dropout_base",
    "inc": "increment_pos_id_for_last_context_token",
    "surrogate": "add_surogate_loss_to_last_context_token",
}

COMMANDS = """
-m RI base=2,4,8,16,32,64 seed=7-9 partition='kargo-lab'
-m RI base=2,4,8,16,32,64 seed=7 reasoner=1000
-m RI seed=7-9
-m IG base=2,4,8,16,32,64 seed=7 partition='kargo-lab'
-m QG width=2,4,8,16,32,64,128,256,512 seed=7,8
-m QG width=2,4,8,16,32,64,128,256,512 seed=7,8 think=False
-m QG width=2048 seed=7 think=True,False
-m+ QG seed=7,8 debug_cfg="seperateInterpreter"
-m QG plb=10,100,1000,10000 see=True,False
-m RI simple=True,False
-m RI simple=True base=32,64 think=True
-m IG simple=True base=32,64,100 seed=7-9
-m RI simple=True
-m RI simple=True groups=AAAA base=32 reasoner=32 interpreter=32 share=True seed=7-9 think=True,False
-m RI simple=True groups=AAAA base=64 reasoner=64 interpreter=64 share=True seed=7-9 think=True,False
-m RI simple=True groups=AAAA base=100 reasoner=100 interpreter=100 share=True seed=7-9 think=True,False
-m RI simple=True groups=all base=32 reasoner=32 interpreter=32 share=True seed=8
-m RI simple=True groups=all base=64 reasoner=64 interpreter=64 share=True seed=7,8
-m RI simple=True groups=all base=100 reasoner=100 interpreter=100 share=True seed=7,8
-m QT think=True,False
QT think=True seed=8
QT think=True len=50
QT think=True residual=True seed=8
QT think=True residual=True len=50
-m QT again=True,False
-m QT again=True surrogate=True eot=True,False again_beta=0.0,0.1,0.5
-m QT again=True surrogate=False eot=False again_beta=0.0 inc=True,False
-m TL width=128 layers=2 heads=2
-m TL width=128 layers=2 heads=4
-m TL width=256 layers=2 heads=2
-m TL width=256 layers=2 heads=4
-m TL width=512 layers=2 heads=2
-m TL width=512 layers=2 heads=4
-m TL width=128 layers=4 heads=2
-m TL width=128 layers=4 heads=4
-m TL width=256 layers=4 heads=2
-m TL width=256 layers=4 heads=4
-m TL width=512 layers=4 heads=2
-m TL width=512 layers=4 heads=4
-m TL width=128 layers=6 heads=2
-m TL width=128 layers=6 heads=4
-m TL width=256 layers=6 heads=2
-m TL width=256 layers=6 heads=4
-m TL width=512 layers=6 heads=2
-m TL width=512 layers=6 heads=4
-m TL width=256 layers=6 heads=2 dropout=0.1
-m QT again=True eot=True len=10,20,40,80,160 seed=7
-m LV T=10,20,40,80,160
-m QT T=4 train_nll_num=1,2,4 seed=8-10
-m QT T=10 train_nll_num=1 seed=8-10
-m QT T=10 seed=8-10 nll_loss_beta=0.1,0.5,1
-m QT T=10 len=5,10,15 seed=10-14
-m TL seed=10-14
-m TL width=16,32 layers=1,2 heads=1,2 seed=10
-m TL width=32 layers=2 heads=1 seed=10-14
-m QT width=32 layers=2 heads=1 T=2 len=5,10,15 seed=10-14
-m QT width=32 layers=2 heads=1 T=2 len=1,2,3,4 seed=10-14
-m QT width=32 layers=2 heads=1 T=2 len=20,25 seed=10-14
-m QT width=32 layers=2 heads=1 T=2 len=1 seed=10-14 think=False
-m QT width=32 layers=2 heads=1 T=2 len=1 seed=10-14 plb=0
-m QT width=32 layers=2 heads=1 T=2 len=1 seed=10-14 residual=True
-m QT width=32 layers=2 heads=1 T=2 len=0 seed=10-14
-m QT width=32 layers=2 heads=1 T=2 len=4 seed=14
-m QT width=32 layers=2 heads=1 T=2 len=5 seed=10
-m QT width=32 layers=2 heads=1 T=2 len=5 seed=11
-m QT width=32 layers=2 heads=1 T=2 len=5 seed=12
-m QT width=32 layers=2 heads=1 T=2 len=5 seed=13
-m QT width=32 layers=2 heads=1 T=2 len=5 seed=14
-m QT width=32 layers=2 heads=1 T=2 len=8,16,32,64 seed=10-14 residual=True
-m QT width=32 layers=2 heads=1 T=2 len=0,1,5 seed=15-25 residual=True
-m QT T=2 len=0,5,10,15 seed=10-14 residual=True
-m QT T=2 len=0,5,10,15 seed=10-14 residual=False
-m QT T=2 len=0,5 seed=15-39 residual=False
-m QT T=2,8 len=30 seed=10-39 residual=False
-m QT T=2 len=5 seed=10-39 residual=False plb=0
-m TL seed=15-39
-m RI simple=True groups=AAAB base=32 reasoner=32 interpreter=32 share=True seed=1-10 plb=-1,0,1
-m RI simple=True groups=ABCD base=32 reasoner=32 interpreter=32 share=True seed=1-10 plb=-1,0,1
-m RI simple=True groups=AABC base=32 reasoner=32 interpreter=32 share=True,False seed=1-10 plb=-1,0,1
-m RI simple=True groups=AAAA base=32 reasoner=32 interpreter=32 share=True seed=1-10 plb=-1,0,1
-m RI simple=True base=32 reasoner=32 interpreter=32 share=True seed=1-10 think=False
-m TL data=fw
-m TL width=128,256,512 layers=2,4,6 heads=1,2,4 data=fw
-m TL width=512 layers=6 heads=4 data=fw
-m TL width=512 layers=4 heads=2 data=fw
-m TL width=256 layers=4 heads=2 data=fw
-m [SEP,GL] base=128,256,512 seed=1-10
-m [RI,SEP] base=128 groups=AAAA,AAAB,AABA,ABAA,BAAA,ABAC,AABC,ABCD seed=1-10
-m [RI,SEP] base=256 groups=AAAA,AAAB,AABA,ABAA,BAAA,ABAC,AABC,ABCD seed=1-10
-m [RI,SEP] base=512 groups=AAAA,AAAB,AABA,ABAA,BAAA,ABAC,AABC,ABCD seed=1-10
-m [RI,SEP] base=512 simple=True groups=ABCD plb=0 seed=1-10
-m [RI,SEP] base=128 groups=AAAA seed=1
-m [RI,SEP] base=128,256,512 groups=AAAA,ABCD seed=1-10
-m [RI,SEP] base=128 groups=AAAA,ABCD seed=1-10 max_steps=-2
-m [GL,SEP] base=128 max_steps=-2 experiment_logger=offlinelogger
-m GL linear=False base=32 seed=1-10
-m [RI,SameHdim] simple=True groups=ABCD base=32 share=True seed=1-10 plb=0,1 linear=False
-m [RI] simple=True groups=ABCD base=32 share=True seed=1-10 plb=0,1 linear=False
-m [SSS] seed=1-10 plb=1
-m [SSS] seed=1-10 plb=1 data=fw reasoner=32,100,256 max_steps=2700 think=True
-m [SSS,GL] seed=1-10 data=fw base=32,100,256 max_steps=2700
-m [SSS] seed=4-10 plb=1 reasoner=32,100,256 variable=True punish=0,1e-3,1e-2,1e-1,1
-m [SSS,GL] seed=1-10 base=32,100,256
-m [SSS] seed=1-10 plb=1 reasoner=256 variable=True punish=2e-3,4e-3,6e-3,8e-3
-m [SSS] seed=1-10 plb=1 reasoner=1024 variable=True punish=1
-m [SSS] seed=7-10 plb=1 reasoner=256 variable=True punish=0.004 use_scheduler=True base_lr=0.005
-m [SSS] seed=1-3 plb=1 reasoner=256,512,1024,2048,4096 variable=False
-m [VLS] seed=1-10 plb=1 reasoner=32,256,512,2048,4096 data='shake' share=True,False
-m [VLS] seed=1 plb=1 reasoner=256 data='shake' share=True,False T=10,2,15
-m [VLS] seed=1-10 plb=1 reasoner=256 data='shake' share=False T=10
-m [VLS] seed=1-10 data='shake' len=0 reasoner=1 think=True,False
-m [VLS] seed=1-10 data='fw' len=0 reasoner=1 think=True,False max_steps=2700
-m [VLS] seed=1-10 plb=1 reasoner=16,32,64,128 data='shake' T=10
-m [VLS] seed=1-10 plb=1 reasoner=512,768,1024 data='shake' T=10
-m [VLS] seed=1-10 plb=1 len=0 reasoner=1 data='shake' T=10
-m [VLS] seed=1-10 plb=1 reasoner=512 data='shake' T=20
-m [VLS] seed=1-10 plb=1 reasoner=32,128,256,385,512,768,1024 data='fw' max_steps=2700 T=10
[VLS] seed=1 plb=1 len=0 reasoner=1024 data='shake' T=10
-m [VLS] seed=1-10 plb=1 reasoner=32,128,256 data='shake' T=10
-m [VLS] seed=1-3 plb=1 len=0 reasoner=1,1024 data='shake' T=10
-m [VLS] seed=1-5 plb=1 len=0 reasoner=1,256,1024,2048 data='shake' T=10 mix=1,2
-m [VLS] seed=1-10 len=0 reasoner=1,32,256,1024,2048 data='fw' max_steps=2700 mix=1,2
-m [VLS] seed=1-10 len=10 reasoner=32,128,256,512,1024 data='fw' max_steps=2700 mix=1,2
-m [VLS] seed=1 len=10 reasoner=256,1024 data='fw' max_steps=2700 mix=1,2
-m [VLS] seed=1 len=10 reasoner=32,256,1024 data='fw' max_steps=2700 entropy=10,100
-m [VLS] seed=1 len=10 reasoner=32 data='fw' max_steps=2700 entropy=1
-m [VLS] seed=1-4 len=0 reasoner=1,32,128,256,512,1024 mix=1,2
-m [VLS] seed=1-4 len=10 reasoner=256 mix=1,2 plb=0.0
-m [VLS] seed=1-4 len=10 reasoner=32,128,256,512,1024 mix=1,2 entropy=0,1,4,16,64,128
-m [VLS] seed=1-4 reasoner=256 mix=1,2 entropy=64,128 shorter=0.0001,0.00001,0.000001 len=100
-m [VLS] seed=1 len=10 reasoner=256 mix=1 entropy=0.0001,0.0004,0.0016,0.0032,0.0064,0.0096,0.0128
-m [VLS] seed=1 len=50 reasoner=256 mix=1 entropy=1e-4,4e-4,16e-4,32e-4,64e-4,96e-4,128e-4 shorter=1e-4,1e-3,5e-4,5e-5
-m [BIS] seed=1-3 base=32,64,128,256 mix=1,2
-m [BIS] seed=1-3 len=0 base=32,256 mix=1,2
-m [BIS] seed=1 len=10 base=32,256 mix=1,2 entropy=0.000001,0.000005,0.00001,0.00005
-m [CAT] seed=1-5 base=32,256 reasoner=256 max_steps=5000 len=0,10
-m [CAT] seed=1-5 base=64,128 reasoner=256 max_steps=5000 len=0,10
-m [CAT] seed=1-5 base=32,64 reasoner=512 max_steps=5000 len=0,10
-m [CAT] seed=1-5 base=32,64 reasoner=256 max_steps=5000 len=50,100
-m [CAT] seed=1-5 reasoner=32,128,256,512 len=0,10
-m [CAT] seed=1 reasoner=32,128,256,512 len=0,10 parameter_groups=1
-m [CAT,SameHdim] seed=1 base=32 len=10 entropy=0,0.0001,0.0005,0.001
-m [CAT,SameHdim] seed=1 base=32 len=0
-m [CAT,SameHdim] seed=1 base=32,256 len=0,10 drop=0.875,0,0.2,0.5
-m [CAT,SameHdim] seed=1 base=256 len=10 drop=0.875
-m [CAT] seed=1-5 base=32,64,128,256 reasoner=256 len=0
-m [CAT] seed=0 base=2,4,8,16 reasoner=256 len=0
-m [CAT] seed=0 base=32 reasoner=256 len=10 pre_base=True
-m [CAT] seed=0-4 reasoner=256 len=10 see=False base=1
-m [CAT] seed=0-4 reasoner=256 len=10 see=False linear=True base=1
-m [PRE] seed=0 base=256
-m [CAT] seed=0-4 base=32 reasoner=256 pre_reasoner=True,False
-m [CAT] seed=0,1 base=32 reasoner=256 pre_reasoner=False partition='kargo-lab'
[CAT] seed=0 base=32 reasoner=256 pre_reasoner=False
-m [CAT] seed=0-4 base=32 reasoner=256 pre_reasoner=True pre_reading=True plb=0
-m [CAT] seed=0-4 base=8 reasoner=256 pre_reasoner=True pre_reading=True
-m [CAT] seed=0-4 base=32 reasoner=256 pre_reasoner=False pre_reading=True
"""
"""Modifiers and options in short; 7-9 are seeds 7,8,9."""


def words(line: str, quoted: bool) -> list[str]:
    """A line as the shell hands it over, or as it stood in quotes."""
    first, *rest = line.split()
    made = ["-m"] if first == "-m" else []
    slip = first == "-m+"
    modifier, *options = rest if first in ("-m", "-m+") else (first, *rest)
    names = ",".join(NAMES.get(name, name) for name in modifier.strip("[]").split(","))
    names = f"[{names}]" if modifier.startswith("[") else names
    made.append(f"{'-m' * slip}+run_modifier={names}")
    for option in options:
        key, _, value = option.partition("=")
        if key == "seed" and "-" in value:
            low, high = map(int, value.split("-"))
            value = ",".join(map(str, range(low, high + 1)))
        if key == "groups":
            value = ",".join(SHARINGS) if value == "all" else value
            letter = "'{}'" if quoted else "{}"
            value = ",".join(f"[{','.join(letter.format(one) for one in four)}]" for four in value.split(","))
        made.append(f"{OPTIONS.get(key, key)}={value}")
    return made


LINES = COMMANDS.strip().splitlines()


def test_there_are_all_of_them():
    assert len(LINES) == len(set(LINES)) == 157


@pytest.mark.parametrize("quoted", [True, False], ids=["in quotes", "behind a shell"])
def test_every_command_is_a_list_of_runs(quoted):
    """The first and the last run of each are judged whole; seeds change no fault."""
    counts = []
    for line in LINES:
        command = read(words(line, quoted))
        counts.append(len(command.runs))
        command.runs = command.runs[:: max(1, len(command.runs) - 1)]
        plans, first = resolved(command)
        thinks = "QT" in line and "think=False" not in line
        assert any(plan.values["method.name"] == "quiet_star" for plan in plans) == thinks, line
        assert first.recipe.train.seed == command.runs[0]["seed"]
    assert sum(counts) == 2742 and max(counts) == 240


def test_lists_say_the_same_with_and_without_quotes():
    line = next(line for line in LINES if "ABCD" in line)
    one, other = (resolved(read(words(line, quoted)))[0] for quoted in (True, False))
    assert [plan.values for plan in one] == [plan.values for plan in other]


def test_a_later_modifier_wins_and_widths_follow():
    command = read(["+run_modifier=[GRUConcatExperiment,SameHdim]", "base_lm_hidden_dim=24", "dataset=shake"])
    [plan], first = resolved(command)
    assert first.recipe.model.tiny.roles.reasoner is None and first.recipe.model.tiny.hidden == 24
    assert first.recipe.method.settings.variable and first.recipe.train.lr == 5e-3
    assert "task.hub" not in plan.values


def test_what_was_wrong_is_put_right_unless_asked_for():
    """A reasoner that forgets, and thoughts whose last token nobody reads."""
    longer = ["+run_modifier=GRUConcatExperiment", "max_reasoning_len=5"]
    (_, fixed), (_, legacy) = (resolved(read([*longer, *more])) for more in ([], ["legacy=True"]))
    assert not fixed.recipe.method.settings.forgets and legacy.recipe.method.settings.forgets
    assert not fixed.recipe.method.settings.counts_pads and legacy.recipe.method.settings.counts_pads
    assert (fixed.recipe.method.settings.starts_at, legacy.recipe.method.settings.starts_at) == (None, 10)
    _, one = resolved(read(["+run_modifier=QuietSTaRDiscreteRunConfig", "legacy=True"]))
    assert one.recipe.method.settings.drops_last


@pytest.mark.parametrize(
    ("kind", "drawn", "gradient"),
    [("rgruhtilda", "candidate", "score"), ("rgruhr", "state", "pathwise"), ("rgrui", "nothing", "pathwise")],
)
def test_drawn_states_are_recipes_like_any_other(kind, drawn, gradient):
    line = ["+run_modifier=QuietSTaRGRURunConfig", f"model_type={kind}", "n_tokens_ahead=4", "only_positive=True"]
    [made], first = resolved(read(line))
    method = first.recipe.method.settings
    assert made.values["run.folder"].startswith("runs/quiet/states-100-")
    assert (first.recipe.model.tiny.gaussian.drawn, method.gradient) == (drawn, gradient)
    assert (method.ahead, method.objective.only_positive) == ((4, True) if gradient == "score" else (None, False))


def test_a_pretrained_part_is_the_run_of_the_same_command():
    """Its folder is known beforehand, so nothing is looked up and nothing is written down."""
    line = ["+run_modifier=GRUConcatExperiment", "reasoner_hidden_dim=256", "seed=3"]
    [base], _ = resolved(read([*line, "max_reasoning_len=0"]))
    [later], _ = resolved(read([*line, "infer_pretrained_base=True"]))
    assert later.values["model.parts.base"] == base.values["run.folder"]
    [plain], _ = resolved(
        read(
            ["+run_modifier=GRUPretrainReasonerExperiment", "base_lm_hidden_dim=256", "seed=3", "linear_lm_head=False"]
        )
    )
    [reasoner], _ = resolved(read([*line, "infer_pretrained_reasoner=True"]))
    assert reasoner.values["model.parts.reasoner"] == plain.values["run.folder"]


@pytest.mark.parametrize("more", [["reasoner_hidden_dim=256"], ["SameHdim"]], ids=["other widths", "one width"])
def test_a_base_model_is_as_wide_as_the_run_that_takes_it(more):
    """With SameHdim, its donor's reasoner has the donor's own width too. Twin: the donor of the other widths is another."""
    names = ["GRUConcatExperiment", *(one for one in more if "=" not in one)]
    line = [f"+run_modifier=[{','.join(names)}]", "base_lm_hidden_dim=64", *(one for one in more if "=" in one)]
    [base], _ = resolved(read([*line, "max_reasoning_len=0"]))
    [later], _ = resolved(read([*line, "infer_pretrained_base=True"]))
    assert later.values["model.parts.base"] == base.values["run.folder"]
    [other], _ = resolved(read(["+run_modifier=GRUConcatExperiment", "base_lm_hidden_dim=64", "max_reasoning_len=0"]))
    assert other.values["run.folder"] != base.values["run.folder"]


def test_one_thought_needs_a_baseline_without_others():
    one = ["+run_modifier=GRUConcatExperiment", "trice_samples=1"]
    for baseline, policy in {"mean": 0, "loo": 0, "null": 1, "ema": 1}.items():
        [made], first = resolved(read([*one, f"baseline={baseline}"]))
        assert first.recipe.method.settings.objective.policy == policy
        assert any("nothing is learned of thinking" in note for note in made.notes) == (not policy)


def test_what_has_no_effect_is_said():
    """Of every kind of model; what has one is not."""
    line = ["+run_modifier=GRUConcatExperiment", "model_n_head=3", "use_residual=True", "reasoner_hidden_dim=16"]
    [made], _ = resolved(read(line))
    told = [note.partition(":")[0] for note in made.notes if "no effect" in note]
    assert told == ["model_n_head", "use_residual"]
    [made], _ = resolved(read(["+run_modifier=TLMRunConfig", "model_n_head=4", "trice_samples=3"]))
    assert [note.partition(":")[0] for note in made.notes] == ["trice_samples"]
    [made], _ = resolved(
        read(["+run_modifier=[GRUConcatExperiment,SameHdim]", "base_lm_hidden_dim=8", "reasoner_hidden_dim=16"])
    )
    assert [note.partition(":")[0] for note in made.notes] == ["reasoner_hidden_dim"]


# -- on this machine --------------------------------------------------------------------------------------------------------

SMALL = ["max_reasoning_len=1", "trice_samples=2", "data_loader_batch_size=4", "max_steps=1", "dataset=shake"]
SMALL += [
    "base_lm_hidden_dim=4",
    "reasoner_hidden_dim=4",
    "linear_lm_head=True",
    "reasoner_lm_head=linear",
    "seq_len=8",
]


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("a bad cab; a dab of bad ad; " * 20)
    return ["-m", "+run_modifier=GRUConcatExperiment", f"data_file_path={tmp_path / 'text.txt'}", *SMALL]


@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["to train", "to list"])
def test_a_part_that_is_named_is_looked_at_before_anything_runs(small, more, tmp_path, capsys):
    assert main([*small, "infer_pretrained_base=False,/nowhere", *more]) == 1
    assert "/nowhere does not exist" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_part_that_another_command_makes(small, tmp_path, capsys):
    """It may be missing where runs are only listed. Once it is there, it is looked at like any other; runs of the same command
    make it first."""
    wanted = [*small, "infer_pretrained_base=True"]
    assert main([*wanted, "--dry-run"]) == 0
    assert main(wanted) == 1 and "train it first" in capsys.readouterr().err and not (tmp_path / "runs").exists()
    both = [one for one in small if "max_reasoning_len" not in one]
    assert main([*both, "max_reasoning_len=1,0", "infer_pretrained_base=True,False"]) == 0
    assert len(list((tmp_path / "runs" / "quiet").iterdir())) == 4
    [donor] = {str(Path(plan.values["model.parts.base"])) for plan in resolved(read(wanted))[0]}
    wider = [one for one in small if "base_lm_hidden_dim" not in one]
    capsys.readouterr()
    assert main([*wider, "base_lm_hidden_dim=7", f"infer_pretrained_base={donor}"]) == 1
    assert "does not fit" in " ".join(capsys.readouterr().err.split())


REFUSED = {
    "+run_modifier=ReasonerInterpreterGRURunConfig n_tokens_ahead=3": "n_tokens_ahead: must be 1",
    "+run_modifier=QuietSTaRDiscreteRunConfig n_tokens_ahead=3": "n_tokens_ahead: must be 1",
    "+run_modifier=GRUConcatExperimnt": "did you mean GRUConcatExperiment",
    "seed=1": r"\+run_modifier: missing",
    "+run_modifier=RI_": "there is no 'RI_'",
    "+run_modifier=SameHdim": "what model to build",
    "+run_modifier=GLMRunConfig": "base_lm_hidden_dim: missing",
    "+run_modifier=TLMRunConfig seed=": "a sweep over no value",
    "+run_modifier=TLMRunConfig seed=1,2": "several values need -m",
    "-m +run_modifier=TLMRunConfig seed=1,1": "a value is given twice",
    "+run_modifier=TLMRunConfig sed=1": "did you mean seed",
    "+run_modifier=TLMRunConfig model_n_head=7": "7 heads cannot share a width of 100",
    "+run_modifier=QuietSTaRDiscreteTRunConfig variable_len=True": "have one length",
    "+run_modifier=QuietSTaRDiscreteTRunConfig use_residual=True add_surogate_loss_to_last_context_token=True": "excludes",
    "+run_modifier=ReasonerInterpreterGRURunConfig weight_groups=[B,B,A,A]": "is expected, as a list",
    "+run_modifier=ReasonerInterpreterGRURunConfig interpreter_hidden_dim=7": "another width than reasoner_hidden_dim",
    "+run_modifier=ReasonerInterpreterGRURunConfig mix_interpeter_base_lm=1": "needs simple_lm_head=True",
    "+run_modifier=ReasonerInterpreterGRURunConfig weight_groups=[A,A,A,A] reasoner_hidden_dim=8": "be one network",
}


@pytest.mark.parametrize("line", REFUSED)
def test_refused(line):
    with pytest.raises(TacitError, match=REFUSED[line]):
        resolved(read(shlex.split(line)))


def test_a_transformer_that_thinks_has_the_published_places():
    _, one = resolved(read(["+run_modifier=QuietSTaRDiscreteTRunConfig", "different_eot=False", "max_reasoning_len=5"]))
    method = one.recipe.method.settings
    assert (method.apart, method.reread, method.one_mark, method.samples) == (129, True, True, 10)
    assert method.objective.baseline == "mean" and one.recipe.model.tiny.family == "gpt2"
    _, other = resolved(read(["+run_modifier=QuietSTaRDiscreteTRunConfig", "use_residual=True", "max_reasoning_len=0"]))
    assert other.recipe.method.settings.join == "add" and other.recipe.method.settings.objective.policy == 0


def test_the_script_lists_runs():
    script = Path(__file__).parents[2] / "scripts" / "quiet" / "run.py"
    line = [
        "-m+run_modifier=QuietSTaRDiscreteRunConfig",
        "seed=7,8",
        "info=a b",
        "hydra.launcher.partition=x",
        "--dry-run",
    ]
    done = subprocess.run([sys.executable, script, *line], capture_output=True, text=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 2, done.stderr
    assert "read as -m +run_modifier" in done.stderr and "no effect" in done.stderr
