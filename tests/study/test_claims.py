"""Verdicts, intervals and pages of claims, on results that were made up."""

import json
import math
import shlex
from dataclasses import replace

import numpy as np
import pytest

from tacit.errors import TacitError
from tacit.recipe import load
from tacit.recipe.reader import read_words
from tacit.registry import resolve
from tacit.study.claim import SIZES, Arm, Claim, Scale
from tacit.study.claims import CLAIMS
from tacit.study.intervals import Outcome, difference, t_quantile
from tacit.study.page import KEYS, draw, pages, text
from tacit.study.plot import plot
from tacit.study.repro import reproduce
from tacit.study.rules import Beats, Levels, Saves
from tests.study.made_run import made_run

CLAIM = Claim(
    name="made-up",
    source="nobody, 1900",
    expected="a is better than b",
    rule=Beats("a", "b", margin=0.2),
    arms={"a": Arm("r/a", {"method.x": 1}), "b": Arm("r/b")},
    scales={"smoke": Scale({"train.steps": 2}, seeds=(0,)), "cpu": Scale()},
)
STRONG, WEAK = {"a": [0.9, 0.8, 0.85], "b": [0.3, 0.2, 0.1]}, {"a": [0.5, 0.6, 0.1], "b": [0.4, 0.2, 0.2]}


def outcomes(values: dict[str, list[float]]) -> list[Outcome]:
    return [Outcome(arm, seed, value) for arm, seeds in values.items() for seed, value in enumerate(seeds)]


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (STRONG, "match"),
        (WEAK, "partly"),  # the right direction, but the interval holds zero
        ({"a": [0.41, 0.42, 0.43], "b": [0.30, 0.31, 0.32]}, "partly"),  # certain, but less than was expected
        ({"a": STRONG["b"], "b": STRONG["a"]}, "miss"),
        ({"a": [0.5] * 3, "b": [0.5] * 3}, "miss"),
    ],
)
def test_verdicts(values, word):
    assert CLAIM.rule.judge(outcomes(values)).word == word


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"a": [0.97, 0.96, 0.95], "b": [0.3, 0.2, 0.1]}, "match"),
        ({"a": [0.97, 0.96, 0.94], "b": [0.3, 0.2, 0.1]}, "partly"),  # one run below its floor
        ({"a": [0.97, 0.96, 0.95], "b": [0.3, 0.2, 0.31]}, "partly"),  # one above its ceiling
        ({"a": [0.1, 0.2, 0.1], "b": [0.3, 0.2, 0.3]}, "miss"),
    ],
)
def test_levels_hold_for_every_run(values, word):
    verdict = Levels("a", "b", floors={"a": 0.95}, ceilings={"b": 0.3}).judge(outcomes(values))
    assert verdict.word == word
    assert "a at least 0.95 in" in verdict.sentence and "b at most 0.3 in" in verdict.sentence


LONG, SHORT = [3.9, 3.9, 3.9], [2.9, 3.0, 3.1]


@pytest.mark.parametrize(
    ("after", "accuracy", "word"),
    [
        (SHORT, 0.99, "match"),
        (SHORT, 0.98, "partly"),  # too much accuracy lost
        ([2.9, 3.0, 3.2], 0.99, "partly"),  # one run is too long
        (LONG, 1.0, "miss"),
    ],
)
def test_shorter_thoughts_that_cost_nothing(after, accuracy, word):
    rule = Saves("start", ("a", "b"), most=3.1, lost=0.01)
    rights = {f"q{number}": [number < 100 * accuracy] for number in range(100)}
    before = {f"q{number}": [True] for number in range(100)}
    told = [Outcome("start", seed, value, before) for seed, value in enumerate(LONG)]
    told += [Outcome(arm, seed, value, rights) for arm in "ab" for seed, value in enumerate(after)]
    verdict = rule.judge(told)
    assert verdict.word == word
    assert "a at most 3.1 in" in verdict.sentence and "of accuracy lost in" in verdict.sentence


def test_the_interval_over_seeds_is_students():
    found = CLAIM.rule.judge(outcomes(STRONG)).interval
    gaps = [0.6, 0.6, 0.75]
    half = 4.303 * np.std(gaps, ddof=1) / math.sqrt(3)
    assert (found.mean, found.low, found.high) == pytest.approx((0.65, 0.65 - half, 0.65 + half))
    assert found.how == "paired t over 3 seeds"


def test_quantiles_fall_to_the_normal_one():
    values = [t_quantile(n) for n in range(1, 200)]
    assert values == sorted(values, reverse=True) and values[-1] == 1.96


def of_questions(arm: str, verdicts) -> Outcome:
    return Outcome(arm, 0, float(np.mean(verdicts)), {f"q{n}": [bool(v)] for n, v in enumerate(verdicts)})


def test_one_seed_is_judged_by_its_questions():
    rng = np.random.default_rng(1)
    first, second = rng.random(400) < 0.7, rng.random(400) < 0.4
    found = difference([(of_questions("a", first), of_questions("b", second))])
    # The bootstrap of a mean is close to the normal interval of the differences, question by question.
    gaps = first.astype(float) - second
    half = 1.96 * gaps.std() / math.sqrt(400)
    assert (found.low, found.high) == pytest.approx((gaps.mean() - half, gaps.mean() + half), abs=0.01)
    assert found.how == "bootstrap over questions, 1 seed"
    assert found == difference([(of_questions("a", first), of_questions("b", second))])


def test_twin_unpaired_questions_would_be_less_certain():
    same = np.random.default_rng(1).random(400) < 0.5
    paired = difference([(of_questions("a", same), of_questions("b", same))])
    assert (paired.low, paired.high) == (0, 0)
    other = np.roll(same, 1)
    unpaired = difference([(of_questions("a", same), of_questions("b", other))])
    assert unpaired.high - unpaired.low > 0.1


def test_one_seed_without_rows_is_never_certain():
    verdict = CLAIM.rule.judge([Outcome("a", 0, 0.9), Outcome("b", 0, 0.1)])
    assert verdict.word == "partly" and verdict.interval.low == -math.inf


def test_arms_without_a_common_seed_cannot_be_judged():
    with pytest.raises(TacitError, match="no seed"):
        CLAIM.rule.judge([Outcome("a", 0, 0.9), Outcome("b", 1, 0.1)])


# --- rebuilding ------------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path):
    """A stand-in for training that writes run folders and remembers how it was called."""
    calls = []

    def train(recipe, overrides, *, out, resume):
        calls.append((recipe, overrides, out, resume))
        accuracy = {"r/a": 0.9, "r/b": 0.1}[recipe]
        return made_run(out, accuracy=accuracy, correct=[n < accuracy * 20 for n in range(20)])

    train.calls = calls
    return train


def rebuilt(tmp_path, trained, scale="cpu"):
    options = {"runs": tmp_path / scale, "results": tmp_path / "results", "train": trained, "say": lambda _: None}
    return reproduce(CLAIM, scale, **options)


def test_every_arm_is_trained_with_every_seed(tmp_path, trained):
    page = json.loads(rebuilt(tmp_path, trained).read_text())
    assert [(recipe, overrides["train.seed"]) for recipe, overrides, _, _ in trained.calls] == [
        (recipe, seed) for seed in (0, 1, 2) for recipe in ("r/a", "r/b")
    ]
    assert all(resume for *_, resume in trained.calls) and len({out for _, _, out, _ in trained.calls}) == 6
    assert page.keys() >= set(KEYS)
    assert (page["claim"], page["verdict"], page["scale"], page["seconds"]) == ("made-up", "match", "cpu", 120)
    assert set(page["runs"][0]) >= {"recipe", "overrides", "seed", "metrics"}
    assert page["runs"][0]["overrides"] == {"method.x": 1, "train.seed": 0}
    assert page["interval"]["low"] == pytest.approx(0.8)


def test_a_page_is_three_files_and_the_others_follow_from_the_json(tmp_path, trained):
    file = rebuilt(tmp_path, trained)
    [(found, page)] = pages(file.parent)
    words, picture = file.with_suffix(".md"), file.with_suffix(".png")
    assert found == file and words.read_text() == text(page, picture.name)
    assert "# made-up: match" in words.read_text() and "| a | 0 | 0.9 |" in words.read_text()
    first = picture.read_bytes()
    picture.unlink()
    assert plot(file.parent) == [picture, file.parent / "index.md"] and picture.read_bytes() == first


def test_a_page_tells_the_command_that_makes_it_again(tmp_path, trained):
    given = {"task.path": ["my texts/a.txt", "b.txt"], "run.name": "x"}
    options = {"runs": tmp_path / "runs", "results": tmp_path / "results", "train": trained, "say": lambda _: None}
    file = reproduce(CLAIM, "cpu", overrides=given, **options)
    [line] = [one for one in file.with_suffix(".md").read_text().splitlines() if one.startswith("    tacit repro")]
    assert shlex.split(line)[2:5] == ["made-up", "--scale", "cpu"]
    layer, faults = read_words(shlex.split(line)[5:])
    assert not faults and {path: setting.value for path, setting in layer.items()} == given


def test_the_index_tells_verdicts_and_goals(tmp_path, trained):
    file = rebuilt(tmp_path, trained)
    index = file.parent / "index.md"
    assert "| [made-up](made-up.md) | cpu | 6 | match |" in index.read_text() and "Benchmarks" not in index.read_text()
    rows = [
        {"name": "fast", "size": "B 8", "ratio": 0.5, "goal": 1.0, "met": True},
        {"name": "slow", "size": "B 8", "ratio": 1.2, "goal": 1.0, "met": False},
        {"name": "rate", "size": "B 8", "ratio": 1.2, "goal": 1.0, "met": True},
        {"name": "told only", "size": "B 8", "ratio": 1.2},
    ]
    (file.parent / "bench-x.json").write_text(json.dumps(rows))
    plot(file.parent)
    lines = [line for line in index.read_text().splitlines() if "bench-x" in line]
    assert [line.split("|")[5:-1] for line in lines] == [
        [" ≤ 1 ", " met "],
        [" ≤ 1 ", " **missed** "],
        [" ≥ 1 ", " met "],
    ]
    plot(tmp_path)  # a folder further up gets no index
    assert not (tmp_path / "index.md").exists()


def test_scales_change_seeds_and_sizes(tmp_path, trained):
    page = json.loads(rebuilt(tmp_path, trained, "smoke").read_text())
    assert [overrides["train.steps"] for _, overrides, _, _ in trained.calls] == [2, 2]
    assert page["interval"]["how"].startswith("bootstrap")
    with pytest.raises(TacitError, match=r"not set up at scale 'gpu'.*Scales: smoke, cpu"):
        rebuilt(tmp_path, trained, "gpu")


def test_a_smaller_scale_does_not_overwrite_a_larger_one(tmp_path, trained):
    large = rebuilt(tmp_path, trained)
    before = large.read_bytes()
    small = rebuilt(tmp_path, trained, "smoke")
    assert (small.name, large.read_bytes()) == ("made-up-smoke.json", before)
    assert rebuilt(tmp_path / "again", trained, "smoke").name == "made-up.json"


def test_a_run_left_by_other_settings_is_not_taken_for_this_one(tmp_path, trained, monkeypatch):
    rebuilt(tmp_path, trained)
    made = {"method": {"name": "coconut"}, "run": {"name": "another"}}
    monkeypatch.setattr("tacit.study.repro.load", lambda recipe, overrides: LoadedAs(made))
    again = lambda recipe, overrides, *, out, resume: out  # noqa: E731
    reproduce(CLAIM, runs=tmp_path / "cpu", results=tmp_path / "results", train=again, say=lambda _: None)
    made["train"] = {"lr": 0.5}
    with pytest.raises(TacitError, match=r"a-0 holds a run with other settings: train.lr is None there and 0.5 here"):
        reproduce(CLAIM, runs=tmp_path / "cpu", results=tmp_path / "results", train=again, say=lambda _: None)


class LoadedAs:
    """A loaded recipe as far as it is looked at."""

    def __init__(self, tree):
        self.recipe = self
        self.model_dump = lambda mode: tree


def test_an_unknown_claim_is_refused():
    with pytest.raises(TacitError, match="no claim called 'arithmetic-step'; did you mean arithmetic-steps"):
        reproduce("arithmetic-step")


def test_a_page_holds_no_infinities(tmp_path, trained, monkeypatch):
    monkeypatch.setattr("tacit.study.runs.Run.verdicts", lambda _: {})
    page = json.loads(rebuilt(tmp_path, trained, "smoke").read_text(), parse_constant=pytest.fail)
    assert page["interval"]["low"] is None and page["verdict"] == "partly"


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_are_complete(name):
    claim = resolve(CLAIMS, name, "claim")
    assert claim.name == name and claim.source and claim.expected and set(claim.scales) <= set(SIZES)
    assert "smoke" in claim.scales and claim.scales["smoke"].seeds == (0,)
    asked = [f"{name}, {way}" for name, arm in claim.arms.items() for way in arm.asked]
    told = [f"{name}: {number}" for name in claim.arms for number in (*claim.listed, *claim.traced)]
    outcome = [Outcome(arm, seed, 0.5) for arm in (*claim.arms, *asked, *told) for seed in range(3)]
    # Where nothing differs, nothing was found; unless that is what was expected, or every run is judged by itself.
    gaps = getattr(claim.rule, "gaps", None)
    other = gaps == () or any(getattr(gap, "most", None) is not None or gap.least < 0 for gap in gaps or ())
    assert other or claim.rule.judge(outcome).word == "miss"
    largest = max(claim.scales, key=SIZES.index)
    for scale in claim.scales:
        # Every arm of the largest scale; of the others one of those that set the same settings.
        alike = {
            arm if scale == largest else (claim.arms[arm].recipe, *values): arm
            for arm, values in claim.settings(scale).items()
        }
        for arm in alike.values():
            begun = dict.fromkeys(claim.arms[arm].parts, ".")
            load(claim.arms[arm].recipe, {**claim.settings(scale)[arm], **begun, "train.seed": 1}, disk=False)


def test_twin_a_claim_with_a_wrong_override_would_be_noticed():
    claim = resolve(CLAIMS, "arithmetic-steps", "claim")
    broken = replace(claim, arms={"cot": Arm("mult/2x2-cot", {"train.stps": 1})})
    with pytest.raises(TacitError, match="did you mean steps"):
        load(broken.arms["cot"].recipe, broken.arms["cot"].overrides)


def test_an_arm_may_be_run_with_some_of_the_seeds(tmp_path, trained):
    some = replace(CLAIM, arms={**CLAIM.arms, "c": Arm("r/b", {"method.x": 2}, seeds=(1,))})
    options = {"runs": tmp_path / "runs", "results": tmp_path / "results", "train": trained, "say": lambda _: None}
    page = json.loads(reproduce(some, **options).read_text())
    assert [run["seed"] for run in page["runs"] if run["arm"] == "c"] == [1] and len(page["runs"]) == 7


@pytest.mark.parametrize("judged", [False, True])
def test_an_arm_may_only_lend_its_weights(judged, tmp_path, trained):
    """It need not tell the metric. Twin: an arm that is judged must."""

    def train(recipe, overrides, *, out, resume):
        folder = trained(recipe, overrides, out=out, resume=resume)
        if "lends" in str(out):
            lines = (folder / "metrics.jsonl").read_text().replace("eval/accuracy", "eval/other")
            (folder / "metrics.jsonl").write_text(lines)
        return folder

    lends = replace(CLAIM, arms={**CLAIM.arms, "lends": Arm("r/b", judged=judged)})
    options = {"runs": tmp_path / "runs", "results": tmp_path / "results", "train": train, "say": lambda _: None}
    if judged:
        with pytest.raises(KeyError, match="accuracy"):
            reproduce(lends, **options)
        return
    file = reproduce(lends, **options)
    page = json.loads(file.read_text())
    assert page["verdict"] == "match" and {run["arm"] for run in page["runs"]} == {"a", "b", "lends"}
    assert "| lends | 0 | – |" in file.with_suffix(".md").read_text()


def test_a_page_does_not_tell_where_its_runs_lie(tmp_path, trained):
    goes_on = replace(CLAIM, arms={**CLAIM.arms, "more": Arm("r/a", begins="b")})
    options = {"runs": tmp_path / "runs", "results": tmp_path / "results", "train": trained, "say": lambda _: None}
    file = reproduce(goes_on, **options)
    [one, *_] = [run for run in json.loads(file.read_text())["runs"] if run["arm"] == "more"]
    assert one["overrides"]["model.path"] == "runs/repro/made-up/cpu/b-0" and str(tmp_path) not in file.read_text()
    assert str(tmp_path) in [overrides for *_, overrides, _, _ in trained.calls][-1]["model.path"]


def test_a_scale_may_train_fewer_arms_and_say_what_is_smaller(tmp_path, trained):
    few = Scale({"train.steps": 2}, arms=("a", "b"), rule=Beats("b", "a"), smaller="two steps")
    more = replace(CLAIM, arms={**CLAIM.arms, "c": Arm("r/b")}, scales={**CLAIM.scales, "gpu": few})
    options = {"results": tmp_path / "results", "train": trained, "say": lambda _: None}
    file = reproduce(more, "gpu", runs=tmp_path / "few", **options)
    page = json.loads(file.read_text())
    assert {run["arm"] for run in page["runs"]} == {"a", "b"} and page["verdict"] == "miss"
    assert "**Smaller than published.** two steps." in file.with_suffix(".md").read_text()
    every = json.loads(reproduce(more, "cpu", runs=tmp_path / "every", **options).read_text())
    assert {run["arm"] for run in every["runs"]} == {"a", "b", "c"} and every["verdict"] == "match"


def test_a_page_tells_the_numbers_that_its_claim_shows(tmp_path, trained):
    shown = replace(CLAIM, shown=("accuracy", "stderr"))
    options = {"train": trained, "say": lambda _: None}
    more, plain = (
        reproduce(claim, runs=tmp_path / name / "runs", results=tmp_path / name, **options)
        for name, claim in (("more", shown), ("plain", CLAIM))
    )
    assert json.loads(more.read_text())["shown"] == ["accuracy", "stderr"]
    assert more.with_suffix(".png").read_bytes() != plain.with_suffix(".png").read_bytes()


@pytest.mark.parametrize(("arms", "shown"), [(3, 1), (5, 4), (11, 5)])
def test_a_picture_is_never_wider_than_a_page(tmp_path, arms, shown):
    names = [f"accuracy/{number}" for number in range(shown)]
    runs = [
        {"arm": f"arm {arm}", "seed": seed, "metrics": {name: (arm + seed) / 20 for name in names if name[-1] != "4"}}
        for arm in range(arms)
        for seed in (0, 1)
    ]
    page = {"claim": "c", "verdict": "match", "metric": names[0], "shown": names, "runs": runs, "scale": "cpu"}
    header = draw(page, tmp_path / "c.png").read_bytes()[:24]
    assert int.from_bytes(header[16:20], "big") <= 2000


def test_an_arm_may_have_a_folder_inside_another_run(tmp_path, trained):
    arms = {**CLAIM.arms, "c": Arm("r/b", parts={"x": "a", "y": "a/inside"})}
    options = {"runs": tmp_path / "runs", "results": tmp_path / "results", "train": trained, "say": lambda _: None}
    page = json.loads(reproduce(replace(CLAIM, arms=arms), **options).read_text())
    told = next(run["overrides"] for run in page["runs"] if run["arm"] == "c" and run["seed"] == 1)
    assert told["y"] == f"{told['x']}/inside" and told["x"].endswith("a-1")
