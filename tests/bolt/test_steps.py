"""Every command of the published workflow, printed and run, at a size of seconds; figures and fine-tuned models at its end."""

import json
import re
import shlex
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import yaml

from tacit.bolt import cost
from tacit.bolt.asking import Request
from tacit.bolt.backends import Engine
from tacit.bolt.command_lines import tacit as command_line
from tacit.bolt.finetune import seeds_of, tally
from tacit.bolt.pipeline import Pipeline
from tacit.bolt.plots import accuracies, curve, envelope, missing_nats, plot
from tacit.bolt.synthesis import Synthesis
from tacit.errors import TacitError
from tacit.evaluate.votes import at_least_one, majority, scores
from tacit.study.runs import Run
from tests.thinkers import thinker_of

KINDS = ("latent_thoughts", "raw_repeat", "raw_fresh", "wrap_baseline", "wrap_cot")
COMMANDS = [
    "prepare R",
    "synthesize latent_thoughts R",
    "synthesize wrap_baseline R bolt.synthesis.repeats=2",
    "synthesize wrap_cot R",
    *(f"warm R --data {kind} --out O" for kind in KINDS),
    "warm R --out O",
    "infer R --out O --round 1",
    "merge O/round-1",
    "learn R --out O --round 1",
    "judge R --out O --round 1",
    "learn R --out O --round 1 --data raw_token_match_baseline",
    "learn R --out O --round 1 --data raw_flops_match_baseline",
    "infer R --out O --round 2",
    "learn R --out O --round 2",
    "finetune gsm8k R --out O --round 1 --seeds 1,2",
    "finetune math R --out O --round 1 --seeds 1",
    "finetune math R --out O --round 1 --data raw_token_match_baseline --seeds 1",
    "learn R --out O --round 1 --seed 5",
    "judge R --out O --round 1 --trial 5",
    "finetune gsm8k R --out O --round 1 --trial 5 --seeds 1",
    "plot O",
]
"""In the order of the published README; R is a recipe and O a folder."""


def recipe_in(folder: Path) -> Path:
    """Fifty documents, a model of one layer, thoughts that a dummy wrote."""
    rows = [{"text": " ".join(f"Text {n} says {n * k}." for k in range(1 + n % 5))} for n in range(50)]
    (folder / "source.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = [{"question": f"{n}+1", "steps": [f"add 1 to {n}"], "answer": str(n + 1)} for n in range(8)]
    (folder / "questions").mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"questions/{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    data = folder / "data"
    kinds = {kind: {"task.train": f"{data}/{kind}.jsonl", "method.order": "none"} for kind in KINDS}
    kinds["latent_thoughts"] = {"task.train": f"{data}/latent_thoughts.jsonl"}
    kinds["raw_repeat"] = {**kinds["latent_thoughts"], "method.order": "none"}
    kinds["raw_fresh"]["task.train"] = f"{data}/train.jsonl"
    told = {
        "about": "a small one",
        "model": {
            "tiny": {"layers": 1, "hidden": 16, "heads": 2, "positions": 256},
            "tokenizer": "bpe",
            "vocabulary": 300,
        },
        "task": {"name": "rows", "train": f"{data}/corpus.jsonl", "valid": f"{data}/valid.jsonl"},
        "method": {"name": "bolt"},
        "train": {"steps": 2, "batch": 4, "log_every": 1, "pack": 256, "max_length": 256},
        "eval": {"every": 1, "limit": 2, "max_tokens": 1, "best_metric": "-ppl"},
        "bolt": {
            "rounds": 2,
            "start": "warm",
            "corpus": {"source": f"{folder}/source.jsonl", "folder": str(data), "valid_every": 10, "slices": 4,
                       "warm": [0], "corpus": [1]},
            "synthesis": {"backend": "dummy", "shard": 4},
            "chunking": {"mean": 2, "most": 3},
            "warm": {"task.train": f"{data}/latent_thoughts.jsonl"},
            "infer": {"samples": 2, "max_tokens": 6},
            "shard": 4,
            "judged": [1, 2],
            "judged_limit": 2,
            "data": {
                **kinds,
                "raw_token_match_baseline": {"method.order": "none"},
                "raw_flops_match_baseline": {"method.order": "none", "train.steps": "{flops_steps}"},
            },
            "finetune": {
                "task.path": str(folder / "questions"), "train.epochs": 1, "train.batch": 4, "train.warmup": 0,
                "train.precision": "fp32", "eval.samples": 4, "eval.max_tokens": 4,
            },
        },
    }  # fmt: skip
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(told))
    return file


def tacit(words: str, recipe: Path, out: Path, mode: str) -> str:
    """What the command says."""
    told = shlex.split(words.replace(" R", f" {recipe}").replace(" O", f" {out}"))
    with redirect_stdout(StringIO()) as said:
        command_line().main(["bolt", *told, "--mode", mode], prog_name="tacit", standalone_mode=False)
    return said.getvalue()


def files(folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    return recipe_in(folder), folder / "out"


@pytest.fixture(scope="module")
def printed(shared):
    """What `--mode cat` says of every command where nothing is there yet: what earlier steps tell is found when a line is run."""
    recipe, out = shared
    before = files(recipe.parent)
    found = {command: tacit(command, recipe, out, "cat") for command in COMMANDS}
    assert files(recipe.parent) == before
    return found


@pytest.fixture(scope="module")
def done(shared, printed):
    """Runs the commands as far as one of them, in their order, since each finds what those before it have made. Which tests a
    process has got does not matter then. What it says is the files that the command has made."""
    recipe, out = shared
    made: dict[str, set[Path]] = {}

    def until(command: str = COMMANDS[-1]) -> set[Path]:
        for each in COMMANDS[len(made) : COMMANDS.index(command) + 1]:
            before = files(recipe.parent)
            tacit(each, recipe, out, "run")
            made[each] = files(recipe.parent) - before
        return made[command]

    return until


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_printed_and_run(command, printed, done):
    """What is printed is a command line that tacit knows, and leaves what the command leaves."""
    assert printed[command].startswith("tacit ")
    lines = [shlex.split(line) for line in printed[command].splitlines()]
    assert all(words[0] == "tacit" and words[1] in ("train", "bolt") for words in lines)
    assert done(command) or command.startswith(("merge", "judge"))
    assert all(Path(words[words.index("--out") + 1]).is_dir() for words in lines if "--out" in words)


def test_a_baseline_that_comes_too_early_names_what_comes_first(shared, done, tmp_path):
    done()
    recipe, out = shared
    command = "learn R --out O --round 1 --data raw_flops_match_baseline"
    with pytest.raises(TacitError, match=r"tacit bolt warm with .*small\.yaml"):
        tacit(command, recipe, tmp_path, "run")
    with pytest.raises(TacitError, match="tacit bolt infer --round 3"):
        tacit(command.replace("1", "3"), recipe, out, "run")


def test_published_thoughts_are_read_and_learned_from(tmp_path):
    """The published way with DOWNLOAD_PREPROCESSED_DATASETS=true; a file stands for the hub."""
    recipe, source, made = recipe_in(tmp_path), tmp_path / "hub.jsonl", tmp_path / "published"
    rows = []
    for n in range(12):
        chunks = [{"suffix": f"Text {n} says {n}.", "latent": "It counts."}, {"suffix": " It ends.", "latent": ""}]
        rows.append({"text": f"Text {n} says {n}. It ends.", "chunks": chunks})
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = "bolt.corpus.piece=null bolt.corpus.tokenizer=null"  # the hub's tokenizer is not there
    told = f"bolt/finemath-published bolt.corpus.config=SUBSET bolt.corpus.folder={made} bolt.corpus.source={source}"
    tacit(f"prepare {told} {whole}", recipe, tmp_path / "out", "run")
    found = [json.loads(line) for line in (made / "train.jsonl").read_text().splitlines()]
    assert [row["chunks"] for row in found] == [row["chunks"] for row in rows[1:]]
    (tmp_path / "out/round-1").mkdir(parents=True)
    (tmp_path / "out/round-1/thoughts.jsonl").symlink_to(made / "train.jsonl")
    learn = f"learn R task.valid={made}/train.jsonl bolt.start=scratch --out O --round 1"
    tacit(learn, recipe, tmp_path / "out", "run")
    assert " steps " in (tmp_path / "out/round-1/learn/lesson.txt").read_text()


def told_lines() -> list[str]:
    """Every command line of the page but `run`, which is not printed, with a value for each word that stands for others."""
    page = (Path(__file__).parents[2] / "docs/bolt.md").read_text()
    found = re.findall(r"^ +(tacit bolt [^#\n]*)", page, re.MULTILINE) + re.findall(r"`(tacit bolt \w+ [^`…]*)`", page)
    values = {"DATA_SETUP": "raw_token_match_baseline", "MODE": "cat", "$seed": "43", "[": "", "]": ""}
    for word, value in values.items():
        found = [line.replace(word, value) for line in found]
    found = [re.sub("(?<![A-Za-z])N(?![A-Za-z])", "1", line).strip() for line in found]
    each = {line.replace("DATA_TYPE", kind) for line in found for kind in KINDS}
    return sorted(line for line in each if not line.startswith("tacit bolt run "))


def test_every_line_of_the_page_is_one_that_tacit_knows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = told_lines()
    assert len(lines) > 25
    for line in lines:
        assert tacit(line.removeprefix("tacit bolt "), Path(), Path(), "cat").startswith("tacit ")
    assert not list(tmp_path.iterdir())


def test_launch_is_refused_with_the_reason(shared):
    with pytest.raises(TacitError, match="cannot talk to one yet"):
        tacit("warm R --out O", *shared, "launch")
    with pytest.raises(TacitError, match="did you mean raw_repeat"):
        tacit("warm R --out O --data raw_repeats", *shared, "cat")


def test_several_workers_are_several_lines(shared):
    printed = tacit("infer R --out O --round 1 --workers 3", *shared, "cat").splitlines()
    assert printed[1:4] == [f"tacit bolt work {shared[1]}/round-1 &"] * 3 and printed[4] == "wait"


def test_the_baseline_may_spend_what_inference_and_learning_cost(shared, done):
    """To half a step; and without the inference it would be fewer steps."""
    done()
    recipe, out = shared
    pipeline = Pipeline(recipe, [], out)
    told = json.loads((out / "round-1/statistics.json").read_text())
    rows = [json.loads(line) for line in (out / "round-1/thoughts.jsonl").read_text().splitlines()]
    assert told["flops"] == sum(chunk.get("flops", 0) for row in rows for chunk in row["chunks"]) > 0
    fields = {"method.order": "none", "train.steps": "{flops_steps}"}
    steps = cost.matched_steps(pipeline, fields, 1)
    assert steps == Run(out / "round-1/raw_flops_match_baseline").training[-1]["step"]
    assert cost.matched_steps(pipeline, fields, 2) > steps > 2
    (out / "round-1/statistics.json").write_text(json.dumps({**told, "flops": 0.0}))
    without = cost.matched_steps(pipeline, fields, 1)
    (out / "round-1/statistics.json").write_text(json.dumps(told))
    assert without < steps


def test_models_of_plain_text_are_asked_in_plain_text(shared, done):
    done()
    lessons = [
        (shared[1] / folder / "seed-1/lesson.txt").read_text()
        for folder in ("round-1/learn-math", "raw_token_match_baseline-math")
    ]
    assert ["<|PRIOR_PREFIX|>" in one for one in lessons] == [True, False]
    assert ["<|END_OF_LATENT|>" in one for one in lessons] == [True, False]


def test_results_of_seeds_are_told_with_their_error(shared, done):
    done()
    told = json.loads((shared[1] / "round-1/learn-gsm8k/finetuned.json").read_text())
    each = [told["seeds"][seed]["accuracy"] for seed in ("1", "2")]
    assert told["accuracy"]["mean"] == pytest.approx(sum(each) / 2)
    assert {"maj@4", "pass@2", "pass@4"} <= told.keys()
    table = (shared[1] / "round-1/learn-gsm8k/answers.csv").read_text().splitlines()
    assert len(table) == 1 + 2 * 8 * 4
    (shared[1] / "round-1/learn-gsm8k/seed-3").mkdir()
    with pytest.raises(TacitError, match="seed-3 is not finished"):
        tally(shared[1] / "round-1/learn-gsm8k")
    (shared[1] / "round-1/learn-gsm8k/seed-3").rmdir()


def test_three_trials_with_five_seeds_each(tmp_path):
    """The first trial is the run without --seed; thoughts for the next round are its alone."""
    recipe, out = recipe_in(tmp_path), tmp_path / "out"
    for command, model in (
        ("finetune math R --out O --round 1", "round-1/learn"),
        ("finetune math R --out O --round 0", "warm"),
        ("finetune math R --out O --round 1 --data raw_token_match_baseline", "raw_token_match_baseline"),
        ("finetune math R --out O --round 1 --data raw_flops_match_baseline", "round-1/raw_flops_match_baseline"),
    ):
        trials = [f"{out}/{model}", f"{out}/{model}-seed-43", f"{out}/{model}-seed-44"]
        printed = [
            shlex.split(one)
            for trial in ("", " --trial 43", " --trial 44")
            for one in tacit(command + trial, recipe, out, "cat").splitlines()
        ]
        begun = [words[words.index("--from") + 1] for words in printed if "--from" in words]
        assert begun == [trial for trial in trials for _ in range(5)]
        assert [words[-1] for words in printed if "tally" in words] == [f"{trial}-math" for trial in trials]
    learned = shlex.split(tacit("learn R --out O --round 1 --seed 43", recipe, out, "cat"))
    assert learned[learned.index("--out") + 1] == f"{out}/round-1/learn-seed-43" and "train.seed=43" in learned
    with pytest.raises(TacitError, match="seed 0 is that of the run without --seed"):
        tacit("warm R --out O --seed 0", recipe, out, "cat")


def test_trials_are_pooled(tmp_path):
    results = {
        "round-1/learn-math": (0.1, 0.2),
        "round-1/learn-seed-43-math": (0.3,),
        "round-2/learn-math": (0.5,),
        "round-2/raw_flops_match_baseline-seed-43-math": (0.6,),
        "round-1/raw_flops_match_baseline-math": (0.7,),
        "warm-seed-44-math": (0.8,),
        "round-1/learn-gsm8k": (0.9,),
    }
    for name, values in results.items():
        (tmp_path / name).mkdir(parents=True)
        seeds = {str(seed): {"accuracy": value} for seed, value in enumerate(values)}
        (tmp_path / name / "finetuned.json").write_text(json.dumps({"seeds": seeds}))
    assert accuracies(tmp_path, "math") == {
        "round-1/learn": [0.1, 0.2, 0.3],
        "round-2/learn": [0.5],
        "round-2/raw_flops_match_baseline": [0.6],
        "round-1/raw_flops_match_baseline": [0.7],
        "warm": [0.8],
    }
    for name, bound in (
        ("warm-judged", -5),
        ("warm-seed-43-judged", -6),
        ("round-1", -3),
        ("round-2/learn-seed-43-judged", -1),
    ):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "judged.json").write_text(json.dumps({"bound_4": bound}))
    assert {number: sorted(values) for number, values in missing_nats(tmp_path, 4).items()} == {
        0: [5, 6],
        1: [3],
        2: [1],
    }


def test_figures(shared, done):
    """As the command plot has drawn them."""
    done()
    names = {file.name for file in (shared[1] / "plots").iterdir()}
    assert names == {"kinds.png", "rounds.png", "finetuned-gsm8k.png", "finetuned-math.png"}
    points = curve(Run(shared[1] / "warm"), "eval/ppl")
    assert len(points) == 2 and 0 < points[0][0] < points[1][0]
    assert len(accuracies(shared[1], "gsm8k")["round-1/learn"]) == 3 and len(missing_nats(shared[1], 1)[1]) == 2
    assert envelope([(1, 0.2), (2, 0.1), (3, 0.4)]) == [(1, 0.2), (2, 0.2), (3, 0.4)]


def test_nothing_to_draw(tmp_path):
    with pytest.raises(TacitError, match="nothing to draw"):
        plot(tmp_path)


# -- our own engine as the stronger model -------------------------------------------------------------------------------


def test_our_own_engine_answers_each_request_by_itself(tmp_path):
    thinker = thinker_of()
    thinker.save_pretrained(tmp_path / "model")
    words = [Request("", "hello", 3), Request("hello", "3+4=7", 3), Request("", "hello", 4), Request("", "h" * 2000, 0)]
    settings = Synthesis(backend="engine", model=str(tmp_path / "model"), max_tokens=6, temperature=1.0, parallel=2)
    engine = Engine(settings)

    def told(requests):
        found = {}
        engine.answer(requests, found.__setitem__)
        return [found[n] for n in range(len(requests))]

    together = told(words)
    assert together == [told([one])[0] for one in words]
    assert 0 < together[0].tokens_out <= 12 and together[0] != together[2]
    assert together[3].fault == "refused"  # longer than the model has positions


# -- scores -------------------------------------------------------------------------------------------------------------


def test_the_majority_counts_answers_that_were_found():
    assert majority([("3", True), (None, False), (None, False), ("4", False)])
    assert not majority([("3", True), ("4", False), ("4", False)])
    assert not majority([(None, False)])


@pytest.mark.parametrize(("right", "n", "k"), [(1, 4, 2), (3, 8, 4), (0, 4, 2), (8, 8, 3), (2, 5, 5)])
def test_at_least_one_of_k_is_the_share_of_all_choices_of_k(right, n, k):
    from itertools import combinations

    answers = [(str(i), i < right) for i in range(n)]
    each = [any(right for _, right in chosen) for chosen in combinations(answers, k)]
    assert at_least_one(answers, k) == pytest.approx(sum(each) / len(each))


def test_scores_of_few_samples():
    answers = [[("1", True)] * 3 + [("2", False)], [("1", False)] * 4]
    assert scores(answers) == {"accuracy": 0.375, "maj@4": 0.5, "pass@2": 0.5, "pass@4": 0.5}
    assert scores([[("1", True)]]) == {"accuracy": 1.0}


def test_seeds_are_numbers():
    assert seeds_of("43,42") == [42, 43]
    with pytest.raises(TacitError, match="42,x"):
        seeds_of("42,x")


def test_formulas_are_right_when_they_mean_the_same():
    from tacit.example import Example
    from tacit.tasks.math import Math, parse
    from tacit.tasks.sources import Raw

    example = parse(Raw("row 1", {"problem": "p", "solution": r"So it is \boxed{\frac{1}{2}}."}), "a")
    assert (example.answer, example.steps) == (r"\frac{1}{2}", (r"So it is \boxed{\frac{1}{2}}.",))
    task = Math()
    said = [r"we get \boxed{0.5}", r"### \frac12", r"\boxed{2}", "no idea"]
    assert [task.grade(example, text).correct for text in said] == [True, True, False, False]
    assert not task.grade(Example(answer="3"), "").correct


def test_the_whole_pipeline_makes_its_data_too(tmp_path):
    """And makes nothing twice: neither the corpus, nor thoughts, nor models."""
    recipe, out = recipe_in(tmp_path), tmp_path / "out"
    words = ["bolt", "run", str(recipe), "bolt.rounds=1", "--out", str(out)]
    command_line().main(words, prog_name="tacit", standalone_mode=False)
    told = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in told] == [0, 1] and told[1]["eval/ppl"] and told[1]["infer/flops"]
    made = {file: file.stat().st_mtime_ns for file in files(tmp_path / "data") | files(out / "warm/final")}
    (out / "round-1/judged.json").unlink()
    command_line().main(words, prog_name="tacit", standalone_mode=False)
    assert {file: file.stat().st_mtime_ns for file in made} == made
    assert (out / "round-1/judged.json").exists()
