"""Rebuild a claim: train every arm with every seed, judge, write the page. What was trained already is not trained again."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tacit.recipe import load
from tacit.registry import resolve
from tacit.study.asked import Evaluate, asked
from tacit.study.claim import Claim
from tacit.study.claims import CLAIMS
from tacit.study.index import write_index
from tacit.study.intervals import Outcome
from tacit.study.page import make_page, write_page
from tacit.study.runs import Run
from tacit.study.teams import train_seeds

RUNS, RESULTS = Path("runs/repro"), Path("docs/results")
Train = Callable[..., Path]
"""(recipe, overrides, out=…, resume=True) -> the run folder; it goes on where an earlier call stopped."""


def reproduce(
    claim: str | Claim,
    scale: str = "cpu",
    *,
    runs: Path = RUNS,
    results: Path = RESULTS,
    train: Train | None = None,
    evaluate: Evaluate | None = None,
    overrides: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """The page's JSON file. One run folder for each arm and seed lies below `runs`. `train` and `evaluate` are the project's
    own unless given. `overrides` are fields of every recipe, such as where its data are."""
    chosen: Claim = resolve(CLAIMS, claim, "claim") if isinstance(claim, str) else claim
    size, arms = chosen.scale(scale), chosen.arms_at(scale)
    places = {
        name: {seed: runs / chosen.name / scale / f"{name}-{seed}" for seed in arm.seeds_of(size)}
        for name, arm in arms.items()
    }
    settings = {name: {**values, **(overrides or {})} for name, values in chosen.settings(scale).items()}

    def inside(told: str, seed: int) -> Path:
        name, _, folder = told.partition("/")
        return places[name][seed] / folder

    def of_seed(name: str, seed: int) -> dict[str, Any]:
        arm = arms[name]
        begun: dict[str, Any] = {path: str(inside(other, seed)) for path, other in arm.parts.items()}
        if arm.begins is not None:
            begun |= {"model.path": str(inside(arm.begins, seed)), "run.after": None}
        if arm.costs is not None:
            rounds = arms[arm.costs].recipe, of_seed(arm.costs, seed), places[arm.costs][seed]
            begun["train.steps"] = _steps_for_the_cost_of(*rounds, arm.overrides)
        return settings[name] | begun | {"train.seed": seed}

    for name, arm in arms.items():
        for seed, folder in places[name].items():
            if folder.exists():
                wanted = load(arm.recipe, of_seed(name, seed)).recipe
                Run(folder).check_made_by(wanted.model_dump(mode="json"))
    if train is None:
        from tacit.train import train  # pyright: ignore[reportMissingImports, reportAssignmentType]

        for name, arm in arms.items():
            if arm.by == "train" and not arm.begins and not arm.parts and not arm.costs:
                train_seeds(arm.recipe, settings[name], places[name], say)
    if evaluate is None:
        from tacit.evaluate import evaluate
    told: list[dict[str, Any]] = []
    outcomes: list[Outcome] = []
    for seed in size.seeds:
        for name, arm in arms.items():
            if seed not in places[name]:
                continue
            make = train if arm.by == "train" else _bolt
            given = of_seed(name, seed)
            run = Run(Path(make(arm.recipe, given, out=places[name][seed], resume=True)))  # type: ignore[misc]
            metrics = _metrics(run) | run.traced(chosen.traced)
            if arm.judged:
                say(f"{name}, seed {seed}: {chosen.metric} {metrics[chosen.metric]:.4g}")
                outcomes.append(Outcome(name, seed, metrics[chosen.metric], run.verdicts()))
            answers = asked(run, arm.asked, evaluate)
            told.append(
                {"arm": name, "recipe": arm.recipe, "overrides": _shown(given, runs), "seed": seed, "metrics": metrics}
                | ({"asked": answers} if answers else {})
            )
            outcomes += [
                Outcome(f"{name}: {shown}", seed, metrics[shown])
                for shown in (*chosen.shown, *chosen.listed, *chosen.traced)
                if shown in metrics
            ]
            outcomes += [Outcome(f"{name}, {way}", seed, found[chosen.metric]) for way, found in answers.items()]
    verdict = chosen.rule_at(scale).judge(outcomes)
    page = make_page(chosen, scale, told, verdict, _seconds(told), overrides)
    files = [*write_page(page, results), write_index(results)]
    say(f"{chosen.name}: {verdict.word}. {verdict.sentence}")
    say("written: " + ", ".join(map(str, files)))
    return files[0]


def _bolt(recipe: str, overrides: Mapping[str, Any], *, out: Path, resume: bool) -> Path:
    """The rounds of a recipe, as a run."""
    from tacit.bolt.pipeline import Pipeline

    return Pipeline(recipe, overrides, out).run()


def _steps_for_the_cost_of(recipe: str, overrides: Mapping[str, Any], folder: Path, other: Mapping[str, Any]) -> int:
    """How many steps with other settings cost as much as all rounds did."""
    from tacit.bolt.cost import matched_steps
    from tacit.bolt.pipeline import Pipeline

    pipeline = Pipeline(recipe, overrides, folder)
    return matched_steps(pipeline, other, pipeline.rounds.rounds)


def _metrics(run: Run) -> dict[str, float]:
    """The numbers of the last evaluation, and what training took."""
    trained = run.training[-1] if run.training else {}
    more = {f"train/{key}": trained[key] for key in ("step", "tokens", "seconds") if key in trained}
    # A run whose thoughts are never used has started no earlier than at its end.
    starts = {"starts": run.starts() or run.evaluations[-1]["step"]} if "null_nll" in run.result() else {}
    return run.result() | more | starts


def _shown(given: Mapping[str, Any], runs: Path) -> dict[str, Any]:
    """Run folders as they would lie by default: where they lie on this machine is nobody's business."""
    inside = f"{runs}/"
    return {
        path: f"{RUNS}/{value.removeprefix(inside)}" if isinstance(value, str) and value.startswith(inside) else value
        for path, value in given.items()
    }


def _seconds(told: Sequence[Mapping[str, Any]]) -> float:
    """Seconds of training of all runs, also of those that were there already."""
    return sum(run["metrics"].get("train/seconds", 0.0) for run in told)
