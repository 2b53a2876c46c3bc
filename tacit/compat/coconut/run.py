"""The published training command: an argument file becomes a recipe, which is printed, trained and evaluated. A file whose start
is not there yet makes it first, by the argument file beside it that does so."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tacit.compat.coconut.plan import BASE, Plan, judged, plan
from tacit.compat.outcome import INTERRUPTED, exit_code
from tacit.errors import TacitError

PROGRAM = "scripts/run.py"
DRY = "--dry-run"


def main(words: Sequence[str]) -> int:
    """Run a command line; the exit code."""

    def run() -> int:
        files = [word for word in words if word != DRY]
        if len(files) != 1 or files[0].startswith("-"):
            raise TacitError(f"usage: python {PROGRAM} ARGS.yaml [{DRY}]")
        return _run(Path(files[0]), DRY in words)

    return exit_code(run)


def _run(file: Path, dry: bool) -> int:
    """A file and all that must come before it, the first first."""
    chain = [plan(file)]
    while (maker := chain[0].start and chain[0].start.maker) is not None:
        if maker.resolve() in [made.given.file.resolve() for made in chain]:
            raise TacitError(f"{maker} begins with weights that it is to make itself; set load_model_path: None")
        chain.insert(0, plan(maker))
    for made in chain:
        for note in made.notes:
            print(f"{made.given.file.name}: {note}", file=sys.stderr)
    if chain[-1].given.values["only_eval"]:
        return _evaluate(chain[-1])
    folders: list[Path] = []
    for made in chain:
        if not _train(made, dry):
            return INTERRUPTED
        folders.append(made.folder)
    if not dry:
        _conclude(folders)
    return 0


def _train(made: Plan, dry: bool) -> bool:
    """Train, going on where the same command stopped before. Says whether it came to its end."""
    if dry and made.start and made.start.maker:
        made.values["model.path"] = made.given.values["model_id"]  # a stand-in for what is not there yet
    loaded = judged(made)
    print(f"# {made.given.file}\n{loaded.dump()}", flush=True)
    if dry:
        return True
    from tacit.study.runs import Run
    from tacit.train import train
    from tacit.train.folder import RunFolder

    if RunFolder(made.folder).started:
        Run(made.folder).check_made_by(loaded.recipe.model_dump(mode="json"))
    folder = train(BASE, made.values, resume=True)
    if RunFolder(folder).manifest().get("status") != "finished":
        return False
    found = Run(folder).result()
    print_accuracy(found["correct"], found["n"], found.get("cot_match"))
    return True


def _evaluate(made: Plan) -> int:
    from tacit.evaluate import Report, evaluate

    assert made.start is not None
    values = made.given.values
    _check_mode(made)
    if made.latents is not None:
        print(f"resume: {values['resume']} stands for {made.latents} silent steps", file=sys.stderr)
    report = evaluate(
        made.start.place, data=values["val_path"], latents=made.latents, max_tokens=made.values["eval.max_tokens"]
    )
    assert isinstance(report, Report)
    print_accuracy(report.correct, report.n, report.cot_match)
    return 0


def _check_mode(made: Plan) -> None:
    """Refuse to ask a model that thinks in silent steps as if it had none: the published code cannot load it then."""
    from tacit.evaluate.subject import method_of
    from tacit.models.folder import read_facts
    from tacit.models.places import find_weights

    assert made.start is not None
    facts = read_facts(find_weights(made.start.place))
    if made.latents is None and facts and method_of(facts).silent():
        mode = made.values["method.name"]
        raise TacitError(
            f"{made.given.file}: {mode}: {made.start.place} learned to answer behind silent steps, and {mode} has none; set "
            f"{mode}: False and coconut: True (with resume: 0, it is asked without any)"
        )


def print_accuracy(correct: float, n: float, match: float | None) -> None:
    """In the words of the published log."""
    print(f"Accuracy on validation set: {correct:.0f} / {n:.0f} = {correct / n}")
    if match is not None:
        print(f"CoT match on validation set: {round(match * n)} / {n:.0f} = {match}", flush=True)


def _conclude(folders: Sequence[Path]) -> None:
    from tacit.study.conclude import conclude

    conclude(folders)
