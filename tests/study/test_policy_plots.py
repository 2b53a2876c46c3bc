"""Pictures of learning how long to think: from result files alone, and none where there is nothing to show."""

import json

from tacit.study.plot import plot
from tacit.study.policy import has_policy, kinds
from tacit.study.runs import Run


def write(folder, lines):
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("method: {name: grpo}\nrun: {name: " + folder.name + "}\n")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Run(folder)


def steps(**more):
    told = {"reward": 0.5, "reward_std": 0.1, "latents": 3.0, "right": 0.9, "kl": 0.0, "entropy": 0.2, "grad_norm": 1.0}
    return [{"step": n, "loss": 0.1, "lr": 1e-3, "stage": 0, **told, **more} for n in (1, 10, 20)]


def evaluated(lengths):
    told = {f"eval/latents/{kind}": float(length) for kind, length in lengths.items()}
    told |= {f"eval/accuracy/{kind}": 1.0 for kind in lengths}
    return {"step": 20, "stage": 0, "eval/accuracy": 1.0, "eval/stderr": 0.0, **told}


def test_a_policy_and_its_lengths_are_drawn(tmp_path):
    for name, shift in (("before", 0), ("after", 1)):
        write(tmp_path / name, [*steps(), evaluated({kind: int(kind) - shift for kind in ("10", "2", "1")})])
    files = {file.relative_to(tmp_path).as_posix() for file in plot(tmp_path)}
    assert {"before/plots/policy.png", "before/plots/lengths.png", "plots/lengths.png"} <= files
    assert all((tmp_path / file).stat().st_size > 10_000 for file in files)
    assert kinds(Run(tmp_path / "before")) == ["1", "2", "10"]  # ten comes behind two
    assert "plots/examples.png" not in files


def test_nothing_is_drawn_of_what_was_not_learned(tmp_path):
    lines = [{key: value for key, value in line.items() if key != "reward"} for line in steps()]
    run = write(tmp_path / "run", [*lines, {"step": 20, "eval/accuracy": 1.0, "stage": 0}])
    assert not has_policy(run) and kinds(run) == []
    assert {"policy.png", "lengths.png"}.isdisjoint(file.name for file in plot(tmp_path))
