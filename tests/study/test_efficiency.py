"""What runs reached with so many examples, from their folders."""

import json

import yaml

from tacit.study.efficiency import curves, draw_efficiency, examples_of
from tacit.study.plot import plot
from tacit.study.runs import Run, find_runs
from tests.study.made_run import made_run


def made(folder, method, accuracy, nll=None, **recipe):
    run = made_run(folder, method, accuracy)
    (run / "recipe.yaml").write_text(yaml.safe_dump({"method": {"name": method}, **recipe}))
    if nll is not None:
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        lines[-1]["eval/nll"] = nll
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Run(run)


def test_how_many_examples_a_run_had(tmp_path):
    assert examples_of(made(tmp_path / "a", "cot", 0.5, task={"train_rows": 300}, train={"limit": 100})) == 100
    assert examples_of(made(tmp_path / "b", "cot", 0.5, task={"train_rows": 300}, train={"limit": None})) == 300
    assert examples_of(made(tmp_path / "c", "cot", 0.5, train={"limit": 7})) == 7
    assert examples_of(made(tmp_path / "d", "cot", 0.5)) is None


def test_a_curve_of_each_method(tmp_path, monkeypatch):
    for n, count in enumerate((100, 1000, 10_000)):
        for method, gap in (("cot", 0.0), ("coconut", 0.1)):
            for seed in (0, 1):
                folder = tmp_path / f"{method}-{count}-{seed}"
                made(folder, method, 0.3 + 0.2 * n + gap + 0.02 * seed, 2.0 - 0.5 * n - gap, train={"limit": count})
    found = curves(find_runs(tmp_path))
    assert {method: {count: len(lines) for count, lines in counts.items()} for method, counts in found.items()} == {
        "cot": {100: 2, 1000: 2, 10_000: 2},
        "coconut": {100: 2, 1000: 2, 10_000: 2},
    }
    assert found["cot"][1000][1]["eval/accuracy"] == 0.52
    monkeypatch.setattr("tacit.study.plot.plot_run", lambda run: [])  # what is drawn of one run is tested elsewhere
    files = plot(tmp_path)
    assert tmp_path / "plots" / "examples.png" in files


def test_runs_with_as_many_examples_make_no_curve(tmp_path):
    runs = [made(tmp_path / name, "cot", 0.5, train={"limit": 7}) for name in "ab"]
    assert draw_efficiency(runs, tmp_path / "x.png") == [] and not (tmp_path / "x.png").exists()
