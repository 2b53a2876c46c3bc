"""The published training command: its options become a recipe, its folder a run folder, its log lines are what they were."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tacit.compat.internalize.options import TRAIN, parse
from tacit.compat.internalize.plan import PROGRAM, Plan, plan
from tacit.compat.outcome import INTERRUPTED, exit_code
from tacit.errors import TacitError
from tacit.recipe import Loaded
from tacit.whole import make_folder


def main(words: Sequence[str]) -> int:
    """Run a command line; the exit code."""
    return exit_code(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    given = parse(words, TRAIN, PROGRAM, "Stepwise internalization, by the options of the published code.")
    made, loaded = plan(given)
    for note in made.notes:
        print(note, file=sys.stderr)
    if given.values["dry_run"]:
        print(loaded.dump(), end="")
        return 0
    folder = Path(str(loaded.recipe.run.folder))
    make_folder(folder)
    _refuse_another(folder, loaded)
    arguments = {name: value for name, value in given.values.items() if name not in ("dry_run", "layout")}
    (folder / "train_args.json").write_text(json.dumps(arguments, indent=4) + "\n", encoding="utf-8")
    return _train(made, folder, wants_test=bool(given.values["test_path"] or given.values["test_split"]))


def _train(made: Plan, folder: Path, wants_test: bool) -> int:
    from tacit.train import train
    from tacit.train.folder import RunFolder

    train(made.base, made.values, resume=True, on_line=tell)
    if RunFolder(folder).manifest().get("status") != "finished":
        return INTERRUPTED
    if wants_test:
        from tacit.evaluate import Report, evaluate

        report = evaluate(folder, split="test")
        assert isinstance(report, Report)
        print(f"Test. Accuracy: {report.accuracy}", flush=True)
    return 0


def _refuse_another(folder: Path, loaded: Loaded) -> None:
    """The same command goes on with what it began; another one must not."""
    file = folder / "recipe.yaml"
    if not file.exists():
        return
    from tacit.recipe.reader import read_yaml

    before, _ = read_yaml(file.read_text(encoding="utf-8"), str(file))
    now, _ = read_yaml(loaded.dump(), "this command")
    paths = [path for path in before.keys() | now.keys() if _value(before, path) != _value(now, path)]
    if paths:
        told = "; ".join(f"{path} was {_value(before, path)}, is {_value(now, path)}" for path in sorted(paths)[:4])
        raise TacitError(
            f"{folder} holds a run of another command ({told}{'; …' if len(paths) > 4 else ''}). Give that command again to go "
            "on with it, or name another folder with --save_model"
        )


def _value(layer: Mapping[str, Any], path: str) -> Any:
    return layer[path].value if path in layer else None


def tell(line: Mapping[str, Any]) -> None:
    """A line of metrics.jsonl in the words of the published log."""
    if "loss" in line:
        accuracy = f" Token Accuracy: {line['token_accuracy']}" if "token_accuracy" in line else ""
        print(f"Step: {line['step']}. PPL: {_perplexity(line.get('nll', line['loss']))}.{accuracy}", flush=True)
    elif "eval/accuracy" in line:
        names = {"PPL": "eval/ppl", "Accuracy": "eval/accuracy", "Token Accuracy": "eval/token_accuracy"}
        told = "; ".join(f"{word}: {line[name]}" for word, name in names.items() if name in line)
        print(f"Disable Offset Val. {told}.", flush=True)


def _perplexity(nll: float) -> float:
    try:
        return math.exp(nll)
    except OverflowError:
        return math.inf
