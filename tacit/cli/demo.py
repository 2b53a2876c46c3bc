"""`tacit demo`: from nothing to a table, a picture and answers, on a laptop's processor in minutes."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="Where everything goes.")]


def demo(out: Out = Path("runs/demo")) -> None:
    """Teach two tiny models to multiply, one with written steps and one without, and ask both."""
    from dataclasses import replace

    import torch

    from tacit.evaluate.subject import load_for_eval
    from tacit.study.claim import Scale
    from tacit.study.claims.arithmetic_steps import CLAIM
    from tacit.study.compare import compare, print_table
    from tacit.study.repro import reproduce
    from tacit.study.runs import Run

    torch.set_num_threads(1)  # models this small lose more by sharing their work than they gain
    claim = replace(CLAIM, name="demo", scales={"cpu": Scale(seeds=(0,))})
    page = reproduce(claim, "cpu", runs=out, results=out)
    runs = {arm: out / claim.name / "cpu" / f"{arm}-0" for arm in claim.arms}
    print()
    print_table(compare([Run(folder) for folder in runs.values()]))
    print(f"\npicture: {page.with_suffix('.png')}")
    print("\nthree questions that neither was trained on (lowest digits first):")
    subjects = {arm: load_for_eval(folder, split="test", limit=3) for arm, folder in runs.items()}
    for example in subjects["cot"].examples:
        print(f"\n  {example.question} = {example.answer}")
        for arm, subject in subjects.items():
            [answer] = subject.thinker.generate([example.question], max_tokens=32)
            print(f"    {arm:<7} {answer.text}")
