"""`tacit demo`: from nothing to a table and a picture on a laptop's processor, in minutes."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="Where everything goes.")]
STEPS = 1200
QUESTIONS = ("2 1 * 4 3", "5 7 * 8 0", "9 9 * 7 6")


def demo(out: Out = Path("runs/demo")) -> None:
    """Teach two tiny models to multiply, one with written steps and one without, and ask both."""
    from dataclasses import replace

    import tacit.study.claims.arithmetic_steps as steps
    from tacit.study.claim import Scale
    from tacit.study.compare import compare, print_table
    from tacit.study.repro import reproduce
    from tacit.study.runs import Run
    from tacit.thinker import Thinker

    small = Scale({"train.steps": STEPS, "eval.every": 200}, seeds=(0,))
    claim = replace(steps.CLAIM, name="demo", scales={"cpu": small})
    page = reproduce(claim, "cpu", runs=out, results=out)
    runs = {arm: out / "demo" / "cpu" / f"{arm}-0" for arm in claim.arms}
    print()
    print_table(compare([Run(folder) for folder in runs.values()]))
    print(f"\npicture: {page.with_suffix('.png')}")
    print("\nThree questions, lowest digits first (2 1 * 4 3 is 12 × 34):")
    thinkers = {arm: Thinker.from_pretrained(folder / "final") for arm, folder in runs.items()}
    for question in QUESTIONS:
        print(f"\n  {question}")
        for arm, thinker in thinkers.items():
            [answer] = thinker.generate([question], max_tokens=32)
            print(f"    {arm:<7} {answer.text}")
