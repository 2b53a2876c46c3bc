"""`tacit demo`: watch a chain of thought disappear, on a laptop's processor, in minutes."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="Where everything goes.")]
ARMS = {"stepwise": "mult/2x2-filler", "control": "mult/2x2-control"}
SAVING = ("train.save_every=1000", "train.keep=1")
SHOWN = 3


def demo(out: Out = Path("runs/demo")) -> None:
    """Two tiny models learn to multiply: one loses its written steps one by one, one never had any."""
    import os

    from tacit.errors import TacitError
    from tacit.launch.local import Job, run_local
    from tacit.launch.sweep import finished
    from tacit.launch.watch import watching
    from tacit.study.compare import compare, print_table
    from tacit.study.runs import Run
    from tacit.study.story import story

    folders = {arm: out / arm for arm in ARMS}
    print(
        "Two models of 230,000 parameters learn to multiply two numbers of two digits, from scratch and side by side.\n"
        "stepwise writes both partial products first; then its six written tokens turn into empty pauses, one by one,\n"
        "each when the last is learned. control has the same six pauses from the start. Both take 5,000 steps."
    )
    failed: list[str] = []
    jobs = [
        Job(arm, ["train", recipe, *SAVING, "--out", str(folders[arm]), "--resume"], out / f"{arm}.log")
        for arm, recipe in ARMS.items()
        if not finished(folders[arm])
    ]
    # Models this small lose more by sharing their work than they gain.
    os.environ["OMP_NUM_THREADS"] = "1"
    with watching(folders):
        run_local(jobs, min(len(ARMS), os.cpu_count() or 1), lambda arm, code: failed.append(arm) if code else None)
    if failed:
        raise TacitError(
            f"{' and '.join(failed)} did not end; see {', '.join(str(out / f'{arm}.log') for arm in failed)}"
        )
    runs = [Run(folder) for folder in folders.values()]
    print()
    print_table(compare(runs))
    print(f"\npicture: {story(runs, out / 'demo.png')}")
    _ask(folders)


def _ask(folders: dict[str, Path]) -> None:
    """Products that neither was trained on, answered without a written step."""
    from tacit.evaluate.subject import load_for_eval

    subjects = {arm: load_for_eval(folder, split="test", limit=SHOWN) for arm, folder in folders.items()}
    print("\nthree products that neither was trained on, answered without a written step:")
    for example in next(iter(subjects.values())).examples:
        x, y = (int(number.replace(" ", "")[::-1]) for number in example.question.split("*"))
        print(f"\n  {x} × {y} = {x * y}")
        for arm, subject in subjects.items():
            [answer] = subject.thinker.generate([example.question], max_tokens=8)
            said = answer.text.replace("####", "").replace(" ", "")[::-1]
            print(f"    {arm:<9} {said.lstrip('0') or '0'}")
