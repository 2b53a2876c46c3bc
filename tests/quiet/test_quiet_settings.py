"""Settings of the laboratory in numbers that are worked out by hand or with torch's own modules. Twin of each: the module with
one place of its source changed, or the setting the other way round."""

import json

import pytest
import torch
from torch.nn.functional import linear

import tacit.methods.quiet as methods
from tacit.methods.base import Lesson
from tacit.methods.quiet import Quiet
from tacit.quiet import concluding, extremes, learning, mind
from tacit.quiet.extremes import of_gate
from tacit.quiet.goal import shared_out
from tacit.quiet.objective import Values
from tacit.quiet.texts import texts
from tacit.train.session import train
from tests.quiet.minds import Plain, lesson, loss_of, small
from tests.quiet.mutants import mutant
from tests.quiet.test_mind import computed, written
from tests.quiet.test_quiet_learning import gradients

HALVING = {"length": 2, "starts_at": 10, "half_life": 4}
LENGTHS = {0: 10, 4: 6, 8: 4, 12: 3, 1000: 2, None: 2}
"""By steps, 8 tokens more than 2 being halved again and again; None: training is over."""


@pytest.mark.parametrize(
    "change",
    [
        ("self.starts_at * left + self.length * (1 - left)", "self.length * left + self.starts_at * (1 - left)"),
        ("step / self.half_life", "step * self.half_life"),
    ],
)
def test_thoughts_come_to_their_length_bit_by_bit(change):
    """Also from longer to shorter, as the published one does."""
    vocab = small().vocab

    def lengths(method) -> dict:
        return {step: method.rule(vocab, step).length for step in LENGTHS}

    assert lengths(Quiet(**HALVING)) == LENGTHS
    assert lengths(mutant(methods, *change).Quiet(**HALVING)) != LENGTHS
    given, thinker = lesson(small(), step=4), small()
    method = Quiet(**HALVING, samples=2, words_only=False)
    assert loss_of(thinker, method, given).parts["thought_tokens"] == 6 * given.counts()["main"]


ONE = {"join": "alone", "levels": 0, "groups": "AAAA", "reasoner_head": "shared", "interpreter": "onward"}


@torch.no_grad()
def test_a_last_token_that_is_not_read():
    """The prediction stands behind all tokens but the last; so with one token, a thought cannot change it."""

    def likes(drops_last: bool, length: int, wanted_tokens: int):
        thinker = small(**ONE)
        method = Quiet(length=length, samples=3, drops_last=drops_last, words_only=False)
        ids, thoughts, found, null = computed(thinker, method, lesson(thinker, rows=2, length=4))
        plain = Plain(thinker.model)
        wanted = []
        for row in range(len(found)):
            column, text = divmod(row // 3, 2)
            prefix, target = ids[text, : column + 1].tolist(), int(ids[text, column + 1])
            wanted.append(plain.after(prefix, thoughts.read[0, row, :wanted_tokens].tolist())[target])
        return found, torch.stack(wanted), null.repeat_interleave(3)

    for length in (1, 3):
        found, wanted, null = likes(True, length, length - 1)
        assert torch.allclose(found, wanted, rtol=0, atol=1e-12)
        assert torch.allclose(found, null, rtol=0, atol=1e-12) == (length == 1)
        # Twin: the setting the other way round.
        found, wanted, _ = likes(False, length, length - 1)
        assert not torch.allclose(found, wanted, rtol=0, atol=1e-6)


def test_pads_count_as_certain_choices():
    """The same entropies over more choices. Twin: the setting the other way round."""
    thinker, given = small(), lesson(small(), rows=3, length=6)
    fields = {"length": 4, "samples": 2, "variable": True, "words_only": False}
    parts = {pads: loss_of(thinker, Quiet(**fields, counts_pads=pads), given).parts for pads in (False, True)}
    with torch.no_grad():
        _, thoughts, *_ = computed(thinker, Quiet(**fields), given)
    cells, chosen = thoughts.entropy.view(-1, 2).sum(1), thoughts.chosen.view(-1, 2).sum(1)
    assert int(chosen.min()) < 8
    assert float(parts[False]["entropy"]) == pytest.approx(float((cells / chosen).sum()), abs=1e-12)
    assert float(parts[True]["entropy"]) == pytest.approx(float((cells / 8).sum()), abs=1e-12)
    assert float(parts[True]["entropy"]) < float(parts[False]["entropy"]) - 1e-3


@pytest.mark.parametrize("join", ["gate", "concat"])
@pytest.mark.parametrize("variable", [False, True], ids=["fixed", "variable"])
def test_what_is_told_of_a_step(join, variable):
    """Each end, over every choice of every thought, computed alone. Of two texts, one is shorter: what is drawn behind its end
    is not told."""
    thinker, method = small(join=join), Quiet(length=3, samples=3, variable=variable, words_only=False)
    with torch.no_grad():
        for p in thinker.model.parameters():
            p.mul_(2)  # entropies differ more
    view = texts([[0, 3, 1, 4, 5, 2], [2, 5, 1]], thinker.vocab.pad)
    given = Lesson({"main": view}, 2, picks=[(0, 0), (0, 1)], steps=10)
    found = method.summary({name: float(part) for name, part in loss_of(thinker, method, given).parts.items()})
    with torch.no_grad():
        ids, thoughts, *_ = computed(thinker, method, given)
        plain, config = Plain(thinker.model), thinker.model.config
        choices: list[list[float]] = []
        for row in range(thoughts.read.shape[1]):
            column, text = divmod(row // 3, 2)
            prefix = ids[text, : column + 1].tolist()
            chosen, _ = written(thoughts, config.vocab_size, config.mark_token_id, row, variable)
            told = [-float((one.exp() * one).sum()) for one in plain.choices(prefix, chosen)]
            assert float(thoughts.surest[0, row]) == pytest.approx(min(told), abs=1e-12)
            if text == 0 or column < 2:
                choices.append(told)
    whole = [sum(told) for told in choices]
    wanted = {"entropy_min": min(map(min, choices)), "entropy_max": max(map(max, choices))}
    wanted |= {"thought_entropy": sum(whole) / len(whole)}
    wanted |= {"thought_entropy_min": min(whole), "thought_entropy_max": max(whole), "longest": 3}
    wanted |= {"weights_norm": float(torch.cat([p.flatten() for p in thinker.model.parameters()]).norm())}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=1e-12)
    assert not found.keys() & {"step", "epoch", "stage", "loss", "lr", "grad_norm", "tokens", "seconds"}
    assert ("gate_min" in found) == (join == "gate")
    assert len(choices) < thoughts.read.shape[1]


def test_a_gate_is_told_apart_for_empty_thoughts():
    """From means over all thoughts and the share of the empty ones. Padding is not told. Twin: without the mark that says
    what is padding, it would be."""
    gate = torch.tensor([[[0.1, 0.5, 0.9], [7.0, 7.0, 7.0]]])
    chosen, ended = torch.tensor([[[1, 1, 2], [1, 1, 1]]]), torch.tensor([[[True, False, True], [True, True, True]]])
    values = Values(gate, gate, chosen, ended, torch.tensor([[1.0, 0.0]]))
    told = {name: float(part) for name, part in of_gate(gate, values, variable=True).items()}
    told = shared_out(told | {"empty": 1 / 3})
    wanted = {"gate_min": 0.1, "gate_max": 0.9, "gate_empty": 0.1, "gate_thinking": 0.7, "empty": 1 / 3}
    assert told == pytest.approx(wanted)
    blind = mutant(extremes, "nothing, count = real[..., None] == 0", "nothing, count = real[..., None] < 0")
    assert float(blind.of_gate(gate, values, variable=True)["gate_max"]) == 7.0
    assert shared_out({"gate_empty": 0.0, "gate_thinking": 0.4, "empty": 0.0}) == {"empty": 0.0, "gate_thinking": 0.4}


# -- the judge ------------------------------------------------------------------------------------------------------------------


def test_a_judge_is_a_line_over_what_is_seen(monkeypatch):
    """Beside the base model's state stands what the interpreter understood. Its loss, and who is taught by it, by hand."""
    thinker, given = small(judge=True, reasoner=4), lesson(small(), rows=2, length=4)
    method = Quiet(length=2, samples=3, objective={"judge": True, "nll": 0.0, "policy": 0.0})
    with torch.no_grad():
        ids, thoughts, like, _ = computed(thinker, method, given)
        model = thinker.model
        plain = Plain(model)
        guessed = []
        for row in range(len(like)):
            column, text = divmod(row // 3, 2)
            hidden = plain._run(0, ids[text, : column + 1].tolist())[-1]
            mark, start = model.config.mark_token_id, model.interpreter_level.weight[0]
            understood = plain._run(3, [mark, *thoughts.read[0, row].tolist()], start)[-1]
            guessed.append(linear(torch.cat([hidden, understood]), model.judge.out.weight, model.judge.out.bias)[0])
        wanted = float(((torch.stack(guessed) - like) ** 2).mean())
    found = loss_of(thinker, method, given)
    assert float(found.total) == pytest.approx(wanted, abs=1e-12)

    def moved() -> set[str]:
        return {name for name, grad in gradients(thinker, method, given).items() if grad is not None and grad.any()}

    own = {"judge.out.weight", "judge.out.bias"}
    assert moved() == own
    # Twin: a judge that teaches what it looks at.
    curious = mutant(mind, "[hidden.detach(), understood.detach()]", "[hidden, understood]")
    monkeypatch.setattr(learning, "Mind", curious.Mind)
    assert moved() > own


RUN = {
    "model": {"tiny": {"family": "roles", "hidden": 8, "roles": {"reasoner": 6, "judge": True}}},
    "task": {"name": "text", "length": 12},
    "method": {"name": "quiet", "length": 2, "samples": 4, "objective": {"judge": True}},
    "train": {"steps": 60, "batch": 8, "lr": 1e-2, "log_every": 1, "save_every": 60},
    "eval": {"every": 60, "best_metric": "-nll"},
}


def trained(folder) -> list[dict]:
    """The logged steps of a run of 60."""
    folder.mkdir()
    (folder / "text.txt").write_text("a bad cab; a dab of bad ad; " * 60)
    (folder / "recipe.yaml").write_text(json.dumps(RUN))
    run = train(folder / "recipe.yaml", {"task.path": str(folder / "text.txt")}, out=folder / "run")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "judge" in line]


def test_a_judge_is_trained(tmp_path, monkeypatch):
    """It begins with guesses near 0 and comes to know what thoughts are worth, while the model learns to predict. Twin: a loss
    of the other sign drives its guesses away."""
    lines = trained(tmp_path / "one")
    judged = [line["judge"] for line in lines]
    assert judged[0] > 1 and max(judged[-10:]) < judged[0] / 3
    assert lines[-1]["nll"] < lines[0]["nll"] - 0.5
    wrong = mutant(concluding, '+ parts.get("judge", 0.0)', '- parts.get("judge", 0.0)')
    monkeypatch.setattr(learning, "conclude", wrong.conclude)
    assert trained(tmp_path / "other")[-1]["judge"] > judged[0]
