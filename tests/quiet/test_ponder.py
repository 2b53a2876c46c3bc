"""Steps in hidden states before every token: at first the plain model, in loss and gradients; then exactly the mean over when it
stops; and what predicts, measures and is saved is one and the same mixture."""

import math

import numpy as np
import pytest
import torch

import tacit
from tacit.engine.sampling import Sampling
from tacit.errors import ModelError
from tacit.evaluate import evaluate
from tacit.evaluate.flops import price, reading_flops, step_flops, thinking_flops
from tacit.evaluate.predicting import text_rows, token_nll
from tacit.evaluate.texts import _means
from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Lesson
from tacit.methods.plain import Plain
from tacit.methods.ponder import Ponder
from tacit.methods.quiet_star import QuietStar
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.quiet.lm.route import Route
from tacit.quiet.pondering import kind_of, prior
from tacit.recipe.schema import Lora, Model
from tacit.thinker import Thinker
from tests.quiet.test_quiet_star_exact import LETTERS, gradients, near

FAMILIES = {"gpt2": {}, "mistral": {"window": 4}, "gru": {}}
ROWS = [row.tolist() for row in (np.random.default_rng(0).integers(0, 6, n) for n in (7, 5))]


def thinker_of(method, family="gpt2", learned=True, lora=None):
    shape = {"family": family, "hidden": 16} | ({"layers": 1} if family == "gru" else {"layers": 2, "positions": 64})
    section = Model(tiny=Scratch(**shape | FAMILIES[family]), lora=lora)
    made = make_thinker(section, method.thinking(), texts=[LETTERS], seed=0).double().train()
    if learned and isinstance(method, Ponder):
        chance = torch.Generator().manual_seed(1)
        for p in made.aside.pondering.parameters():
            torch.nn.init.normal_(p, std=0.5, generator=chance)
    return made


def lesson(thinker, method) -> Lesson:
    views = method.collate([{"main": Layout(Segment("text", row, 1.0))} for row in ROWS], thinker.vocab)
    return Lesson(views, len(ROWS), picks=[(0, n) for n in range(len(ROWS))])


def loss_of(method, thinker):
    given = lesson(thinker, method)
    return method.loss(thinker, given, given.counts())


def states_of(thinker, ids):
    door = thinker.door
    embeds = door.embed(torch.tensor([ids]))
    if door.recurrent:
        return door.body(inputs_embeds=embeds).last_hidden_state[0, :-1]
    mask = torch.ones(1, 1, len(ids), len(ids), dtype=torch.bool).tril() & near(len(ids), door.window)
    return door.body(inputs_embeds=embeds, attention_mask=mask, use_cache=False).last_hidden_state[0, :-1]


def by_hand(thinker, steps: int, state: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(probability of stopping, log-probabilities of the next token) after each step, for one state, equation by equation."""
    cell = thinker.aside.pondering
    wi, wh, bi, bh = cell.cell.weight_ih, cell.cell.weight_hh, cell.cell.bias_ih, cell.cell.bias_hh
    inner, left, found = torch.zeros_like(state), torch.ones(()).double(), []
    for n in range(steps):
        given = torch.cat([state, torch.tensor([1.0 if n == 0 else 0.0]).double()])
        (r, z, new), (hr, hz, hn) = (wi @ given + bi).chunk(3), (wh @ inner + bh).chunk(3)
        update = torch.sigmoid(z + hz)
        inner = (1 - update) * torch.tanh(new + torch.sigmoid(r + hr) * hn) + update * inner
        stop = torch.sigmoid(cell.stop.weight[0] @ inner + cell.stop.bias[0])
        chance = left if n + 1 == steps else left * stop
        left = left * (1 - stop)
        logits = thinker.door.head(state + cell.change.weight @ inner + cell.change.bias)
        found.append((chance, logits.log_softmax(-1)))
    return found


def naive(thinker, method, remainder: bool = True) -> torch.Tensor:
    total, count = torch.zeros(()).double(), 0
    for ids in ROWS:
        for state, true in zip(states_of(thinker, ids), ids[1:]):
            for n, (chance, told) in enumerate(by_hand(thinker, method.steps, state), 1):
                usual = (1 - method.prior) ** (n - 1) * (method.prior if n < method.steps or not remainder else 1)
                total = total - chance * told[true] + method.kl * chance * (chance / usual).log()
            count += 1
    return total / count


@pytest.mark.parametrize("family", FAMILIES)
def test_the_exact_mean_over_when_it_stops(family):
    method = Ponder(steps=3, prior=0.3, kl=0.2)
    thinker = thinker_of(method, family)
    ours, theirs = loss_of(method, thinker).total, naive(thinker, method)
    assert float((ours - theirs).detach().abs()) < 1e-10
    mine, slow = gradients(thinker, ours), gradients(thinker, theirs)
    worst = max(float((mine[name] - slow[name]).abs().max()) for name in mine)
    assert worst < (1e-6 if family == "mistral" else 1e-10), worst  # Mistral takes roots in float32
    assert float((ours - naive(thinker, method, remainder=False)).detach().abs()) > 1e-3  # the twin: another prior


@pytest.mark.parametrize("family", FAMILIES)
def test_at_first_it_is_the_plain_model(family):
    method, plain = Ponder(steps=3, prior=0.3, kl=0.5), Plain()
    thinker, bare = thinker_of(method, family, learned=False), thinker_of(plain, family)
    ours, theirs = loss_of(method, thinker), loss_of(plain, bare)
    assert float((ours.total - theirs.total).detach().abs()) < 1e-12
    assert abs(float(ours.parts["kl"])) < 1e-12
    assert float(ours.parts["steps"]) == pytest.approx(0.3 + 2 * 0.7 * 0.3 + 3 * 0.49)
    mine, slow = gradients(thinker, ours.total), gradients(bare, theirs.total)
    assert max(float((mine[name] - slow[name]).abs().max()) for name in slow) < 1e-12
    assert bool(mine["feedback.aside.cell.change.weight"].any())  # and it can be learned from there
    states = states_of(thinker, ROWS[0])
    said = torch.tensor(ROWS[0][:-1])
    gap = (thinker.logits(states, said) - bare.logits(states, said).log_softmax(-1)).abs().max()
    assert float(gap.detach()) < 1e-12
    learned = loss_of(method, thinker_of(method, family))  # the twin: a cell that changes something
    assert float((learned.total - theirs.total).detach().abs()) > 1e-2


def test_where_it_stops_is_certain():
    method = Ponder(steps=4, prior=0.2)
    thinker = thinker_of(method)
    _, halts = thinker.aside.pondering(states_of(thinker, ROWS[0]))
    assert torch.allclose(halts.exp().sum(1), torch.ones(6).double(), atol=1e-12)
    assert float(prior(method, halts).exp().sum()) == pytest.approx(1.0, abs=1e-12)
    assert torch.allclose(prior(Ponder(steps=1), halts).exp(), torch.ones(1).double())


def test_what_predicts_is_the_mixture():
    method = Ponder(steps=3)
    thinker = thinker_of(method).eval()
    encoded = [Encoded(str(n), (), (), (), tuple(row)) for n, row in enumerate(ROWS)]
    found = method.measure(thinker, encoded, batch=2)
    likely = token_nll(method, thinker, text_rows(encoded, None), 2)
    cells = [
        [(float(c.detach()), float(-told[true].detach())) for c, told in by_hand(thinker, 3, state)]
        for ids in ROWS
        for state, true in zip(states_of(thinker, ids), ids[1:])
    ]
    mixed = [-math.log(sum(c * math.exp(-nll) for c, nll in cell)) for cell in cells]
    assert [nll for row in likely for nll in row] == pytest.approx(mixed, abs=1e-10)
    assert found["mixed_nll"] == pytest.approx(np.mean(mixed), abs=1e-10)
    assert found["nll"] == pytest.approx(np.mean([sum(c * nll for c, nll in cell) for cell in cells]), abs=1e-10)
    assert found["mixed_nll"] < found["nll"] - 1e-6
    for n in (1, 2, 3):
        assert found[f"nll/{n}"] == pytest.approx(np.mean([cell[n - 1][1] for cell in cells]), abs=1e-10)
    steps = [sum(n * c for n, (c, _) in enumerate(cell, 1)) for cell in cells]
    assert found["steps"] == pytest.approx(np.mean(steps), abs=1e-10) and found["places"] == len(cells)
    assert found["steps/letter"] == pytest.approx(found["steps"]) and "steps/digit" not in found


def test_what_is_written_comes_from_the_mixture():
    """The likeliest token of the mixture, which is not always that of the model without steps."""
    method = Ponder(steps=3)
    thinker = thinker_of(method).eval()
    torch.nn.init.normal_(thinker.aside.pondering.change.bias, std=3.0, generator=torch.Generator().manual_seed(4))
    prompts = [Layout(Segment("question", row[:n])) for row in ROWS for n in range(1, len(row) + 1)]
    written = [done.ids[0] for done in thinker.complete(prompts, Sampling(max_tokens=1))]
    with torch.no_grad():
        states = [state for row in ROWS for state in states_of(thinker, [*row, 0])]
        mixed = [sum(chance * told.exp() for chance, told in by_hand(thinker, 3, state)) for state in states]
        plain = [int(thinker.door.head(state).argmax()) for state in states]
    assert written == [int(chance.argmax()) for chance in mixed]
    assert written != plain


def test_kinds_have_counts_of_their_own():
    """Means over parts of a data set weigh a kind's number by how many tokens of the kind there are."""
    parts = [{"nll": 1.0, "steps/digit": 1.0, "places/digit": 3.0, "places": 10.0}]
    parts += [{"nll": 3.0, "steps/digit": 5.0, "places/digit": 1.0, "places": 30.0}, {"nll": 1.0, "places": 40.0}]
    assert _means(parts) == {"nll": 1.75, "steps/digit": 2.0}
    assert [kind_of(text) for text in (" 3a", "Ga", " ", "+", "")] == ["digit", "letter", "space", "mark", "space"]


def test_arithmetic_is_counted():
    """By hand, for a model of width 16 with two layers of 12 · 16² weights, a head of V rows and texts of 3 and 5 columns."""
    method = Ponder(steps=3)
    thinker = thinker_of(method)
    V, H, cost = thinker.vocabulary, 16, price(thinker)
    plain = 2 * 2 * 12 * H * H + 4 * 2 * H * (9 + 25) / 8 + 2 * V * H
    assert reading_flops(thinker, [3, 5]) == plain
    step = 2 * (3 * H * (H + 1) + 3 * H * H + H * H + H)
    assert step_flops(thinker) == step
    assert cost.head == 3 * (2 * V * H + step)
    star = thinker_of(QuietStar(samples=2, length=4, reread=True))
    n, before = 7, (3 * 4 / 2 + 5 * 6 / 2) / 8  # two marks, four tokens, one read again
    thought = n * 2 * 2 * 12 * H * H + 4 * 2 * H * (n * before + n * (n + 1) / 2) + 4 * 2 * V * H
    assert thinking_flops(star, [3, 5], Route(4, reread=True)) == pytest.approx(plain + thought)
    assert thinking_flops(star, [3, 5], Route(4, reread=True, together=True)) > plain + thought


def test_adapters_and_the_cell_learn_and_the_rest_does_not():
    method = Ponder(steps=2)
    thinker = thinker_of(method, lora=Lora(r=2, alpha=4.0, dropout=0.0))
    loss_of(method, thinker).total.backward()
    learned = {name for name, p in thinker.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert any("lora_B" in name for name in learned) and "feedback.aside.cell.cell.weight_ih" in learned
    assert not any(name.endswith("base_layer.weight") for name in learned)


def test_from_a_recipe_to_a_saved_run(tmp_path):
    small = {"task.of.train_rows": 16, "task.of.valid_rows": 4, "task.of.test_rows": 4, "train.steps": 3}
    small |= {"train.batch": 4, "model.tiny.hidden": 16, "eval.every": None, "train.warmup": 0}
    run = tacit.train("quiet/ponder-tiny", small, out=tmp_path / "run")
    found = evaluate(run).metrics()
    assert {"nll", "mixed_nll", "base_nll", "steps", "nll/1", "nll/4", "steps/digit", "flops_per_token"} <= set(found)
    assert found["flops_per_token"] > found["base_flops_per_token"]
    assert evaluate(Thinker.from_pretrained(run)).metrics()["nll"] == pytest.approx(found["nll"], abs=1e-6)
    other = Thinker.from_pretrained(run)
    torch.nn.init.normal_(other.aside.pondering.change.weight)
    assert evaluate(other).metrics()["nll"] != pytest.approx(found["nll"], abs=1e-3)


def test_a_model_without_a_cell_is_refused():
    thinker = thinker_of(QuietStar(samples=2, length=2))
    with pytest.raises(ModelError, match=r"method\.name: ponder"):
        loss_of(Ponder(), thinker)
