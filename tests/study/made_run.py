"""Run folders made up line by line, as training writes them."""

import json
from pathlib import Path


def made_run(folder: Path, method: str = "coconut", accuracy: float = 0.75, stages: int = 1, correct=()) -> Path:
    """A run of 40 steps with an evaluation every 10; `correct` are the verdicts of its rows."""
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(f"method: {{name: {method}}}\nrun: {{name: made-{method}}}\n")
    lines = []
    for step in range(1, 41):
        stage = (step - 1) * stages // 40
        at = {"step": step, "epoch": step / 40, "stage": stage}
        lines.append(at | {"loss": 2 / step, "lr": 1e-3, "grad_norm": 1.0, "tokens": step * 10, "seconds": step * 0.5})
        if step % 10 == 0:
            found = {"accuracy": accuracy * step / 40, "stderr": 0.05, "n": 20, "correct": 15, "forwards": 200}
            found |= {"flops": 4e6, "latents_mean": 6.0, "thought_tokens_mean": 1.5, "seconds": 0.1}
            lines.append(at | {f"eval/{key}": value for key, value in found.items()})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [{"id": f"valid-{n}", "correct": bool(verdict)} for n, verdict in enumerate(correct)]
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def made_text_run(folder: Path, method: str = "quiet", nll: float = 1.0) -> Path:
    """A run over texts, whose thoughts are worth half a nat."""
    made_run(folder, method)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "loss" in line]
    for step in (20, 40):
        found = {"nll": nll * 40 / step, "null_nll": nll * 40 / step + 0.5, "used": 0.25, "thought_tokens": 3.0}
        lines.append({"step": step, "epoch": 0.5, "stage": 0} | {f"eval/{key}": value for key, value in found.items()})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
