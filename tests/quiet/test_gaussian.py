"""Drawn states against the same computation written out one text and one chain at a time, against integrals, and on the disk."""

import copy
import json
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import linear

from tacit.errors import ModelError
from tacit.methods.gaussian import Gaussian
from tacit.methods.quiet import Quiet
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.quiet.chains import to_come
from tacit.quiet.drawn import drawn
from tacit.quiet.goal import Objective
from tacit.quiet.objective import Values, losses
from tacit.quiet.states import GaussianStates
from tacit.quiet.texts import normals, texts
from tacit.recipe import FaultyRecipe, load
from tacit.recipe.schema import Model
from tacit.thinking import Thinking
from tacit.train.session import train
from tests.quiet.minds import LETTERS, lesson, loss_of
from tests.quiet.test_quiet_gradients import gradients

KINDS = list(product(("gru", "lstm"), ("candidate", "state")))


def small(seed: int = 0, hidden: int = 5, head: str = "linear", **states):
    """A thinker of a few numbers in float64."""
    tiny = Scratch(family="gaussian", hidden=hidden, head=head, gaussian=GaussianStates(**states))
    return make_thinker(Model(tiny=tiny), Thinking(), texts=[LETTERS], seed=seed).double()


def cell_column(model, token: Tensor, hidden: Tensor, memory: Tensor, draw) -> tuple[Tensor, Tensor]:
    """The gates of torch's cells as the library documents them, with a place to draw at."""
    cell = model.layer.cell
    given = linear(model.embed_tokens(token), cell.weight_ih, cell.bias_ih)
    own = linear(hidden, cell.weight_hh, cell.bias_hh)
    if isinstance(cell, nn.LSTMCell):
        i, f, g, o = (given + own).chunk(4)
        memory = f.sigmoid() * memory + i.sigmoid() * draw("candidate", g.tanh())
        return draw("state", o.sigmoid() * memory.tanh()), memory
    (r, z, n), (own_r, own_z, own_n) = given.chunk(3), own.chunk(3)
    new = draw("candidate", (n + (r + own_r).sigmoid() * own_n).tanh())
    keep = (z + own_z).sigmoid()
    return draw("state", (1 - keep) * new + keep * hidden), memory


def written(thinker, method: Gaussian, given) -> Tensor:
    """The loss of a lesson, chain by chain."""
    model, view, T = thinker.model, given.views["main"], method.samples
    H, L = model.config.hidden_size, view.ids.shape[1] - 1
    noise = normals(given, T, H).double()
    rows, entropies = [], []
    for text in range(given.rows):
        for chain in range(T):
            told, entropy = chain_of(model, view.ids[text], noise[:, text, chain], method.gradient == "pathwise")
            rows.append(told)
            entropies.append(entropy)
    like, logp = torch.stack(rows).view(given.rows, T, L, 2).permute(2, 0, 1, 3).flatten(0, 1)[None].unbind(-1)
    goal, ahead = method.objective, method.ahead or L
    later = like.detach().view(L, given.rows, T)
    worth = torch.stack([later[t : t + ahead].sum(0) for t in range(L)]).flatten(0, 1)[None]
    values = Values(like, logp, torch.ones_like(like), torch.zeros_like(like), torch.ones(like.shape[:2]))
    values.worth = worth
    parts = losses(goal, values, False, 0.0)
    policy = 0.0 if method.gradient == "pathwise" else goal.policy * parts["policy"]
    bonus = goal.entropy * torch.stack(entropies).sum() / T
    return (goal.nll * parts["nll"] + policy - bonus)[0] / like.shape[1]


def chain_of(model, ids: Tensor, noise: Tensor, pathwise: bool) -> tuple[Tensor, Tensor]:
    """(L, 2): log p(next) and the log-density of what was drawn; and the sum of entropies."""
    told, entropies = [], []
    hidden = memory = torch.zeros(model.config.hidden_size).double()
    density: list[Tensor] = []

    def draw(place: str, value: Tensor) -> Tensor:
        if place != model.layer.drawn:
            return value
        mean, log_variance = model.layer.told(value).chunk(2)
        normal = Normal(mean, (log_variance / 2).exp())
        found = mean + normal.stddev * noise[len(told)]
        found = found if pathwise else found.detach()
        density.append(normal.log_prob(found).sum())
        entropies.append(normal.entropy().sum())
        return found

    for token, target in zip(ids, ids[1:]):
        hidden, memory = cell_column(model, token, hidden, memory, draw)
        like = model.lm_head(model.neck(hidden)).log_softmax(-1)[target]
        told.append(torch.stack([like, density[-1]]))
    return torch.stack(told), torch.stack(entropies).sum()


METHODS = {
    "pathwise": {"gradient": "pathwise", "samples": 2},
    "score": {"samples": 3, "objective": {"entropy": 0.2}},
    "one token ahead": {"samples": 3, "ahead": 1, "objective": {"baseline": "mean", "only_positive": True}},
    "listwise": {"samples": 3, "ahead": 2, "objective": {"fit": "listwise", "temperature": 0.5, "learned": 1}},
}


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@pytest.mark.parametrize("case", METHODS)
def test_a_loss_and_its_gradient_are_those_written_out(case, kind):
    """Twin: other random numbers are another gradient."""
    thinker, method = small(cell=kind[0], drawn=kind[1], head="mlp" if case == "score" else "linear"), METHODS[case]
    method, given = Gaussian(**method), lesson(small(), rows=2, length=4)
    ours, wanted = loss_of(thinker, method, given).total, written(thinker, method, given)
    assert ours.item() == pytest.approx(wanted.item(), abs=1e-11)
    mine, theirs = gradients(thinker, ours), gradients(thinker, wanted)
    assert all(torch.allclose(mine[name], theirs[name], rtol=0, atol=1e-10) for name in mine)
    other = gradients(thinker, loss_of(thinker, method, lesson(small(), rows=2, length=4, seed=1)).total)
    assert any(not torch.allclose(mine[name], other[name], rtol=0, atol=1e-4) for name in mine)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_where_nothing_is_drawn_it_is_the_library_s_layer(cell):
    """Twin: where something is, it is not."""
    thinker, ids = small(cell=cell, drawn="nothing"), torch.randint(6, (2, 7))
    own = thinker.model.layer.cell
    theirs = (nn.LSTM if cell == "lstm" else nn.GRU)(5, 5).double()
    theirs.load_state_dict({f"{name}_l0": value for name, value in own.state_dict().items()})
    wanted = theirs(thinker.model.embed_tokens(ids.T))[0]
    read = thinker.model.read(ids, torch.randn(7, 2, 3, 5).double())
    assert torch.allclose(read.hidden[:, :, 0], wanted, rtol=0, atol=1e-12)
    assert not read.logp.any()
    drawing = small(cell=cell)
    drawing.model.load_state_dict(thinker.model.state_dict(), strict=False)
    assert not torch.allclose(drawing.model.read(ids).hidden[:, :, 0], wanted, rtol=0, atol=1e-3)


class Integral:
    """All noise of a model with one number of state, by the nodes and weights of a Gauss-Hermite rule."""

    def __init__(self, columns: int = 3, nodes: int = 24):
        x, w = np.polynomial.hermite_e.hermegauss(nodes)
        whole = np.array(list(product(range(nodes), repeat=columns)))
        self.noise = torch.tensor(x[whole]).T[:, None, :, None]  # (L, 1, T, 1)
        self.weight = torch.tensor((w / w.sum())[whole].prod(1))

    def of_scores(self, thinker, ids: Tensor, ahead: int | None) -> dict[str, Tensor]:
        read = thinker.model.read(ids[:, :-1], self.noise)
        like = thinker.model.score(read.hidden, ids[:, 1:])
        return gradients(thinker, ((like + to_come(like.detach(), ahead) * read.logp).sum((0, 1)) @ self.weight))

    def of_paths(self, thinker, ids: Tensor) -> dict[str, Tensor]:
        read = thinker.model.read(ids[:, :-1], self.noise, pathwise=True)
        return gradients(thinker, thinker.model.score(read.hidden, ids[:, 1:]).sum((0, 1)) @ self.weight)


def off(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_both_gradients_are_that_of_the_expectation(kind):
    """On average over all noise, scores and paths tell the same. Twin: with one token ahead, what a draw does to later tokens
    is not learned."""
    thinker, ids = small(hidden=1, cell=kind[0], drawn=kind[1]), torch.tensor([[0, 3, 1, 4]])
    whole = Integral()
    wanted = whole.of_paths(thinker, ids)
    assert off(whole.of_scores(thinker, ids, None), wanted) < 1e-6
    assert off(whole.of_scores(thinker, ids, 3), wanted) < 1e-6
    assert off(whole.of_scores(thinker, ids, 1), wanted) > 1e-3


def test_what_is_to_come():
    values = torch.tensor([1.0, 2.0, 4.0, 8.0])
    wanted = {None: [15, 14, 12, 8], 1: [1, 2, 4, 8], 2: [3, 6, 12, 8], 4: [15, 14, 12, 8], 9: [15, 14, 12, 8]}
    for ahead, sums in wanted.items():
        assert to_come(values, ahead).tolist() == sums


def late_bound(told: Tensor, noise: Tensor) -> Tensor:
    """The twin: a variance that is bounded after the exponential."""
    mean, log_variance = told.chunk(2, -1)
    return mean + log_variance.exp().clamp(max=1e13).sqrt() * noise


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
def test_no_variance_is_without_a_gradient(size):
    told = (torch.randn(7, 8) * size).requires_grad_()
    noise = torch.randn(7, 4)
    for pathwise in (True, False):
        value, logp, entropy = drawn(told, noise, pathwise)
        (found,) = torch.autograd.grad((value.sum() + logp.sum() + entropy.sum()), told)
        assert found.isfinite().all() and value.isfinite().all()
    (broken,) = torch.autograd.grad(late_bound(told, noise).sum(), told)
    assert broken.isnan().any() == (size > 1)


def test_densities_at_the_bounds_are_those_of_normal_distributions():
    told = torch.tensor([[2e3, -0.5, -9e9, 40.0, -40.0, 1.0]]).double()
    value, logp, entropy = drawn(told, torch.tensor([[0.3, -1.2, 2.0]]).double(), False)
    normal = Normal(torch.tensor([1e3, -0.5, -1e3]).double(), torch.tensor([15.0, -15.0, 0.5]).double().exp())
    assert torch.allclose(logp, normal.log_prob(value).sum(-1)) and torch.allclose(entropy, normal.entropy().sum())
    assert torch.equal(drawn(told, None, False)[0], normal.mean[None])


def test_rows_do_not_know_each_other():
    """One step of texts is the sum of its parts, padded or not. Twin: another number of an example is another draw."""
    thinker, method = small(judge=True), Gaussian(samples=3, ahead=2, objective={"judge": True, "entropy": 0.1})
    whole = lesson(thinker, rows=3, length=6)
    rows = whole.views["main"].ids.tolist()
    rows[0] = rows[0][:3]

    def part(picks: list[int]):
        given = copy.copy(whole)
        given.views = {"main": texts([rows[n] for n in picks], thinker.vocab.pad)}
        given.rows, given.picks = len(picks), [(0, n) for n in picks]
        return given

    def found(given) -> dict[str, Tensor]:
        return gradients(thinker, method.loss(thinker, given, {"main": 12.0}).total)

    together, alone, pair = found(part([0, 1, 2])), found(part([0])), found(part([1, 2]))
    assert max(float((together[n] - alone[n] - pair[n]).abs().max()) for n in together) < 1e-12
    moved = part([0, 1, 2])
    moved.picks = [(1, n) for n in range(3)]
    assert off(found(moved), together) > 1e-4


def test_a_judge_teaches_in_place_of_values():
    """And learns from values alone; what it looks at is left as it was."""
    thinker = small(judge=True)
    given, goal = lesson(thinker), Objective(judge=True, nll=0.0)
    judged = loss_of(thinker, Gaussian(samples=2, objective=goal), given)
    found = gradients(thinker, judged.total)
    assert found["judge.weight"].any() and found["layer.told.weight"].any()
    without = gradients(thinker, loss_of(thinker, Gaussian(samples=2, objective={"nll": 0.0}), given).total)
    assert not without["judge.weight"].any() and off(found, without) > 1e-4
    idle = goal.model_copy(update={"policy": 0.0})
    only = gradients(thinker, loss_of(thinker, Gaussian(samples=2, objective=idle), given).total)
    assert {name for name, g in only.items() if g.any()} == {"judge.weight", "judge.bias"}


def test_a_judge_is_a_line_over_two_states():
    """Its loss by hand. Twin: worth of the next token alone, instead of all that follow, is another one."""
    thinker, given = small(judge=True), lesson(small(), rows=2, length=5)
    ids, noise = given.views["main"].ids, normals(given, 3, 5).double()
    model = thinker.model
    hidden = model.read(ids[:, :-1], noise).hidden
    like = model.lm_head(model.neck(hidden)).log_softmax(-1).gather(-1, ids.T[1:, :, None, None].expand(-1, -1, 3, 1))
    misses = []
    for text, chain, t in product(range(2), range(3), range(4)):
        before = hidden[t - 1, text, chain] if t else torch.zeros(5).double()
        guess = linear(torch.cat([before, hidden[t, text, chain]]), model.judge.weight, model.judge.bias)
        misses.append((guess - like[t:, text, chain].sum()) ** 2)
    wanted = float(torch.stack(misses).mean().detach())

    def found(ahead: int | None) -> float:
        goal = Objective(judge=True, nll=0.0, policy=0.0)
        return loss_of(thinker, Gaussian(samples=3, ahead=ahead, objective=goal), given).total.item()

    assert found(None) == pytest.approx(wanted, abs=1e-12)
    assert found(1) != pytest.approx(wanted, abs=1e-3)


RECIPE = {
    "model": {"tiny": {"family": "gaussian", "hidden": 8}},
    "task": {"name": "text", "length": 16},
    "method": {"name": "gaussian", "samples": 3},
    "train": {"steps": 4, "batch": 4, "lr": 1e-2, "log_every": 1, "save_every": 2, "keep": 9},
    "eval": {"every": 2, "samples": 3, "temperature": 1.0, "best_metric": "-nll"},
}


def told(folder) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_a_run_goes_on_and_comes_back_as_it_was(tmp_path):
    """From a checkpoint, and from the disk for an evaluation. A mixture of chains is never worse than one of them."""
    from tacit.evaluate.texts import evaluate_texts
    from tacit.thinker import Thinker

    (tmp_path / "text.txt").write_text("the cat sat on the mat and the dog sat on the log; " * 40)
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps(RECIPE))
    given = {"task.path": str(tmp_path / "text.txt")}
    one, other = (train(file, given, out=tmp_path / name) for name in "ab")
    train(file, given, out=tmp_path / "b", resume=2)
    assert told(one) == told(other)
    recipe = load(file, given).recipe
    task, thinker = recipe.resolved_task(), Thinker.from_pretrained(one)
    found = evaluate_texts(thinker, recipe.method.settings, task.template, task.examples("valid"), recipe.eval)
    last = told(one)[-1]
    assert {name: last[f"eval/{name}"] for name in found} == found
    assert found["mixed_nll"] < found["nll"] != found["steady_nll"]


REFUSED = {
    "words": ({"method.objective.gate": True}, "about thoughts in words"),
    "the empty thought": ({"method.objective.baseline": "null"}, "set it to loo or mean"),
    "nothing to compare with": ({"method.samples": 1}, "no other to be compared with"),
    "more to learn from than is drawn": ({"method.samples": 2, "method.objective.learned": 3}, "set it no higher"),
    "scores of paths": ({"method.gradient": "pathwise", "method.ahead": 2}, "ahead has no meaning"),
    "a fit of paths": (
        {"method.gradient": "pathwise", "method.objective.fit": "value"},
        "objective.fit has no meaning",
    ),
    "scores of nothing": ({"model.tiny.gaussian.drawn": "nothing"}, "set method.gradient: pathwise"),
    "a judge that is not there": ({"method.objective.judge": True}, "model.tiny.gaussian.judge: true"),
    "another model": ({"model.tiny.family": "gru"}, "model.tiny.family: gaussian"),
    "another method": ({"method.name": "quiet"}, "model.tiny.family: roles"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    fields, sentence = REFUSED[case]
    base = {"task.name": "text", "task.path": "text.txt", "method.name": "gaussian", "model.tiny.family": "gaussian"}
    with pytest.raises(FaultyRecipe) as caught:
        load("fragments/gpt2", base | {"train.steps": 1} | fields, disk=False)
    [fault] = caught.value.faults
    assert sentence in fault.sentence


def test_a_method_knows_its_model():
    with pytest.raises(ModelError, match="roles think for themselves"):
        loss_of(small(), Quiet(length=1, samples=2), lesson(small()))
