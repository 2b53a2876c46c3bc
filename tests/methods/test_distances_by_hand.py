"""The distances that distillation learns from, and how learned parts begin, against numbers worked out by hand."""

import math

import pytest
import torch

from tacit.engine.door import Door
from tacit.feedback import LinearFeedback, MLPFeedback, ShiftedFeedback, Soft
from tacit.methods import distilling
from tacit.methods.distance import Distance
from tests.exactness import tiny

TEACHER = torch.tensor([[[1.0, 3.0], [5.0, 7.0]], [[0.0, 2.0], [4.0, -2.0]]], dtype=torch.float64)
"""Two layers, two pairs, two dimensions."""
STUDENT = TEACHER + torch.tensor([[[0.5, -2.0], [0.0, 1.0]], [[3.0, 4.0], [0.1, 0.0]]], dtype=torch.float64)

# Quadratic below a difference of 1: .5²/2, 2 − ½, 0, 1 − ½ and 3 − ½, 4 − ½, .1²/2, 0; Euclidean: √4.25, 1 and 5, .1.
DISTANCES = {"smooth_l1": (2.125 / 4, 6.005 / 4), "l2": ((math.sqrt(4.25) + 1) / 2, 5.1 / 2)}
# Squares around the mean of a layer: 9 + 1 + 1 + 9 around 4, and 1 + 1 + 9 + 9 around 1; of both, around 2.5:
# 2.25 + .25 + 6.25 + 20.25 and 6.25 + .25 + 2.25 + 20.25. Lengths: √10, √74 and 2, √20.
FIRST, SECOND = (math.sqrt(10) + math.sqrt(74)) / 2, (2 + math.sqrt(20)) / 2
SIZES = {
    "layer_std": (math.sqrt(20 / 3), math.sqrt(20 / 3)),
    "layer_l2": (FIRST, SECOND),
    "std": (math.sqrt(58 / 7), math.sqrt(58 / 7)),
    "l2": ((FIRST + SECOND) / 2, (FIRST + SECOND) / 2),
    "none": (1 - 1e-8, 1 - 1e-8),
}


def found(measure: str, norm: str) -> list[float]:
    """The term of both layers, each divided by its size."""
    distance = Distance(measure=measure, norm=norm)
    apart = distilling.distances(STUDENT, TEACHER, distance) / 2
    return (apart / distilling.sizes(TEACHER, "codi", {"codi": 2}, distance)).tolist()


def by_hand(measure: str, norm: str) -> list[float]:
    return [gap / (size + 1e-8) for gap, size in zip(DISTANCES[measure], SIZES[norm])]


@pytest.mark.parametrize("norm", SIZES)
@pytest.mark.parametrize("measure", DISTANCES)
def test_every_distance_and_every_size(measure, norm):
    assert found(measure, norm) == pytest.approx(by_hand(measure, norm), rel=1e-12)


@pytest.mark.parametrize("norm", SIZES)
def test_sizes_that_were_gathered_over_two_pieces(norm):
    """The second pair comes in another piece, so its moments are added to those of the first."""
    counts = {"codi": 2.0}
    for piece in (TEACHER[:, :1], TEACHER[:, 1:]):
        for l, row in enumerate(distilling._moments(piece).tolist()):
            for kind, value in zip(distilling.KINDS, row):
                counts[f"codi/{l}/{kind}"] = counts.get(f"codi/{l}/{kind}", 0.0) + value
    size = distilling.sizes(TEACHER[:, :1], "codi", counts, Distance(norm=norm))
    assert size.tolist() == pytest.approx([one + 1e-8 for one in SIZES[norm]], rel=1e-12)


def sharper(patch):
    loss = torch.nn.functional.smooth_l1_loss
    patch.setattr(torch.nn.functional, "smooth_l1_loss", lambda *given, **more: loss(*given, **more, beta=0.5))


def squared(patch):
    norm = torch.Tensor.norm
    patch.setattr(torch.Tensor, "norm", lambda self, **more: norm(self, **more) ** 2)


def biased(patch):
    sqrt = torch.Tensor.sqrt
    patch.setattr(torch.Tensor, "sqrt", lambda self: sqrt(self * 3 / 4))


@pytest.mark.parametrize(
    ("mutant", "measure", "norm"),
    [
        (sharper, "smooth_l1", "none"),
        (squared, "l2", "none"),
        (squared, "smooth_l1", "layer_l2"),
        (biased, "l2", "layer_std"),
    ],
)
def test_twin_another_formula_is_noticed(mutant, measure, norm, monkeypatch):
    mutant(monkeypatch)
    wrong = found(measure, norm)
    monkeypatch.undo()
    assert wrong != pytest.approx(by_hand(measure, norm), rel=1e-3)


@pytest.mark.parametrize(
    ("blocks", "embedding", "kept"),
    [
        (None, False, [1, 2, 3, 4]),
        (None, True, [0, 1, 2, 3, 4]),
        ((0, 0), False, [1]),
        ((1, 2), False, [2, 3]),
        ((3, 3), True, [0, 4]),
        ((0, 3), False, [1, 2, 3, 4]),
    ],
)
def test_which_layers_are_compared(blocks, embedding, kept):
    """Counted from 0 behind the embedding's output, the first and the last included."""
    levels = torch.arange(5.0)[:, None, None].expand(5, 2, 3)
    found = distilling._compared(levels, Distance(blocks=blocks, embedding=embedding))
    assert found[:, 0, 0].tolist() == kept


# --- learned parts ---------------------------------------------------------------------------------------------------

DOOR: Door = None  # type: ignore[assignment]  # these parts do not look at the model


def test_an_mlp_of_one_number():
    """gelu(2 · 3 − 1) through ½ and + ¼, then a norm over two numbers of which the other is twice as far from zero."""
    module = MLPFeedback(1, 1, 2, xavier=True).double()
    with torch.no_grad():
        module.inner.weight.fill_(2.0), module.inner.bias.fill_(-1.0)
        module.outer.weight.copy_(torch.tensor([[0.5], [1.0]])), module.outer.bias.fill_(0.25)
        module.norm.weight.fill_(0.1), module.norm.bias.fill_(3.0)
    gelu = 5 * 0.5 * (1 + math.erf(5 / math.sqrt(2)))
    low, high = 0.5 * gelu + 0.25, gelu + 0.25
    half = (high - low) / 2
    side = 0.1 * half / math.sqrt(half**2 + 1e-5)
    got = module(torch.tensor([3.0], dtype=torch.float64), DOOR).tolist()
    assert got == pytest.approx([3 - side, 3 + side], rel=1e-12)


def test_a_linear_map_with_each_norm():
    x = torch.tensor([1.0, -1.0], dtype=torch.float64)
    matrix = torch.tensor([[1.0, 0.0], [0.0, 3.0]], dtype=torch.float64)
    plain = LinearFeedback(2, 2, torch.nn.LayerNorm(2)).double()
    shifted = ShiftedFeedback(2, 2).double()
    assert not shifted.shift.any() and (shifted.norm.weight == 1).all()  # pyright: ignore[reportOptionalMemberAccess]
    with torch.no_grad():
        for module in (plain, shifted):
            module.map.weight.copy_(matrix), module.map.bias.copy_(torch.tensor([0.0, 1.0]))
        shifted.shift.copy_(torch.tensor([10.0, 20.0]))
    # The map gives 1 and −2: 1.5 to either side of −.5, and the root mean square is √2.5.
    side = 1.5 / math.sqrt(1.5**2 + 1e-5)
    assert plain(x, DOOR).tolist() == pytest.approx([side, -side], rel=1e-12)
    size = math.sqrt(2.5 + 1e-6)
    assert shifted(x, DOOR).tolist() == pytest.approx([10 + 1 / size, 20 - 2 / size], rel=1e-12)


def test_the_correlation_of_three_embeddings():
    module = ShiftedFeedback(2, 2).double()
    module.start_from(torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, -2.0]], dtype=torch.float64))
    # EᵀE is 9 + 1, 12, 16 + 4; three rows, whose lengths are 5, 1 and 2.
    assert module.map.weight.tolist() == [pytest.approx([10 / 3, 4.0]), pytest.approx([4.0, 20 / 3])]
    assert module.norm.weight.tolist() == pytest.approx([8 / 3 / math.sqrt(2)] * 2)  # pyright: ignore[reportOptionalMemberAccess]
    assert not module.map.bias.any() and not module.shift.any()


@pytest.mark.parametrize("out", [(), (0, 2)])
def test_a_state_as_the_embeddings_that_it_means(out):
    """Logits 0, 1, 2 and 3 over embeddings 1, 10, 100 and 1000."""

    class Four:
        head = staticmethod(lambda hidden: torch.tensor([[0.0, 1.0, 2.0, 3.0]], dtype=torch.float64))
        embed = staticmethod(lambda ids: 10.0 ** ids.double()[:, None])

    left = [i for i in range(4) if i not in out]
    total = sum(math.exp(i) for i in left)
    wanted = sum(math.exp(i) / total * 10**i for i in left)
    assert Soft(out)(torch.zeros(1, 2), Four()).tolist() == [[pytest.approx(wanted)]]  # type: ignore[arg-type]


def test_the_decision_is_a_softmax_of_two_numbers_over_the_temperature():
    mind = tiny.thinker("gpt2-untied", confine=True, stop_temperature=4.0)
    state = torch.randn(1, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = mind.model.lm_head.weight.detach()
    gap = float(state[0] @ (rows[tiny.VOCAB.latent] - rows[tiny.VOCAB.close])) / 4
    for said in (tiny.VOCAB.open, tiny.VOCAB.latent):
        chances = mind.logits(state, torch.tensor([said])).softmax(-1)[0].detach()
        assert float(chances[tiny.VOCAB.latent]) == pytest.approx(1 / (1 + math.exp(-gap)), rel=1e-12)
        assert float(chances[[tiny.VOCAB.latent, tiny.VOCAB.close]].sum()) == pytest.approx(1.0)
    written = mind.logits(state, torch.tensor([tiny.VOCAB.close])).softmax(-1)[0].detach()
    assert not written[[tiny.VOCAB.latent, tiny.VOCAB.close]].any() and float(written.sum()) == pytest.approx(1.0)
