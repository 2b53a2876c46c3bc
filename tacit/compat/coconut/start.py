"""The weights that an argument file begins with: a run of ours, a model folder, a hub id, or a run that another argument file
of the same folder makes."""

from pathlib import Path
from typing import NamedTuple

from tacit.compat.coconut.keys import Given, read_file
from tacit.errors import TacitError
from tacit.models.places import is_folder_name
from tacit.train.folder import RunFolder


class Start(NamedTuple):
    """Where weights come from."""

    place: Path | str
    maker: Path | None = None
    """The argument file that makes them first, where they are not there yet."""


def find_start(given: Given, faults: list[str]) -> Start | None:
    """What `load_model_path` stands for; None where it is off."""
    path = given.values["load_model_path"]
    if path is None:
        return _own_run(given, faults) if given.values["only_eval"] else None
    folder = Path(path).expanduser()
    if folder.is_file():
        faults.append(
            f"load_model_path: {path} is a file of the published code; give a run of ours, a model folder or a hub id"
        )
        return None
    run = folder.parent if folder.name.startswith("checkpoint_") else folder
    if folder.is_dir() and not _unfinished(folder):
        return Start(folder)
    if run != folder and RunFolder(run).started and not _unfinished(run):
        return _checkpoint(run, folder.name, faults)
    maker = _maker(given.file, run)
    if maker and run != folder:
        faults.append(
            f"load_model_path: {run} is not finished, so nobody knows whether its {folder.name} will be kept (the newest three "
            f"and the best are); run {maker.name} first, or set load_model_path: {run}, which is its last epoch"
        )
        return None
    if maker:
        return Start(run, maker)
    saved = Path(given.values["save_path"])
    if not is_folder_name(path) and path.count("/") == 1 and folder.parts[0] not in (*saved.parts[:1], "outputs"):
        return Start(path)
    faults.append(
        f"load_model_path: there is no {path}, and no argument file beside {given.file.name} makes it; train it first, or set "
        "None to begin with model_id"
    )
    return None


def _own_run(given: Given, faults: list[str]) -> Start | None:
    """The run that the file itself trains, to be evaluated."""
    run = _own(given)
    if run.is_dir():
        return Start(run)
    faults.append(f"only_eval: there is no run {run} to evaluate; train it first, or set load_model_path")
    return None


def _own(given: Given) -> Path:
    return Path(given.values["save_path"]) / given.values["name"]


def _unfinished(folder: Path) -> bool:
    run = RunFolder(folder)
    return run.started and run.manifest().get("status") != "finished"


def _checkpoint(run: Path, name: str, faults: list[str]) -> Start | None:
    """`checkpoint_K` is what a run was after K epochs; its checkpoints have the numbers of steps."""
    there = RunFolder(run).checkpoints()
    kept = {f"checkpoint_{epoch}": step for step, epoch in _epochs(run).items() if step in there}
    if name in kept:
        return Start(RunFolder(run).checkpoint(kept[name]))
    epochs = ", ".join(kept)
    faults.append(
        f"load_model_path: {run} has kept no {name}; there are {epochs or 'none'}, and {run} itself is its last"
    )
    return None


def _epochs(run: Path) -> dict[int, int]:
    """The passes over the data that were done at each evaluation, of which there is one behind every pass."""
    from tacit.study.runs import Run

    return {line["step"]: int(line["epoch"]) for line in Run(run).evaluations}


def _maker(file: Path, run: Path) -> Path | None:
    """The argument file of the same folder whose run this is."""
    for other in sorted(file.parent.glob("*.yaml")):
        if other.resolve() == file.resolve():
            continue
        try:
            given = read_file(other)
        except TacitError:
            continue
        if not given.faults and not given.values["only_eval"] and _own(given).resolve() == run.resolve():
            return other
    return None
