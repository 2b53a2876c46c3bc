"""Tokens are drawn from the distribution that is scored, and nothing is lost by not keeping it."""

import pytest
import torch
from torch import Tensor

import tacit.quiet.choosing as choosing
from tacit.quiet.choosing import draw, score

MODELS, ROWS, DRAWS, WIDTH, WORDS = 2, 5, 3, 4, 6


def layer(banned: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    features = torch.randn(MODELS, ROWS, WIDTH, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(MODELS, WORDS, WIDTH, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(MODELS, WORDS, dtype=torch.float64)
    if banned:
        bias[:, 2] = float("-inf")
    return features, weight, bias.requires_grad_()


def plainly(features: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of all words, and the entropy."""
    told = (features @ weight.mT + bias[:, None]).log_softmax(-1)
    possible = told.isfinite()
    return told, -(told.exp() * torch.where(possible, told, 0.0)).sum(-1)


@pytest.mark.parametrize("banned", [False, True], ids=["all words", "one banned"])
@pytest.mark.parametrize("block", [12, 1 << 17], ids=["row by row", "at once"])
def test_gradients_are_those_of_the_whole_distribution(block, banned, monkeypatch):
    monkeypatch.setattr(choosing, "BLOCK", block)
    parts = layer(banned)
    found = draw(*parts, torch.rand(MODELS, ROWS, DRAWS, dtype=torch.float64))
    told, entropy = plainly(*parts)
    logp = told.gather(-1, found.tokens)
    assert torch.allclose(found.logp, logp, rtol=0, atol=1e-13)
    assert torch.allclose(found.entropy, entropy, rtol=0, atol=1e-13)
    assert not (banned and (found.tokens == 2).any())
    by_logp, by_entropy = torch.randn_like(logp), torch.randn_like(entropy)
    for one, other in (((found.logp, logp), by_logp), ((found.entropy, entropy), by_entropy)):
        mine, wanted = (torch.autograd.grad((part * other).sum(), parts, retain_graph=True) for part in one)
        assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(mine[:2], wanted[:2]))
        assert any(b.abs().max() > 1e-3 for b in wanted)
    given = torch.randint(0, 2, (MODELS, ROWS, 1))
    mine = torch.autograd.grad(score(*parts, given).sum(), parts)
    wanted = torch.autograd.grad(told.gather(-1, given).sum(), parts)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(mine[:2], wanted[:2]))


def test_tokens_come_as_often_as_they_are_likely():
    """Random numbers that lie evenly give every token its share; another bias, another share (the twin)."""
    features, weight, bias = (part.detach()[:1] for part in layer())
    features = features[:, :1]
    count = 20_000
    chance = ((torch.arange(count, dtype=torch.float64) + 0.5) / count)[None, None]
    shares = draw(features, weight, bias, chance).tokens.flatten().bincount(minlength=WORDS) / count
    told, _ = plainly(features, weight, bias)
    assert torch.allclose(shares.double(), told[0, 0].exp(), atol=1 / count)
    other, _ = plainly(features, weight, bias.roll(1, -1))
    assert not torch.allclose(shares.double(), other[0, 0].exp(), atol=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_distributions_are_finite(dtype):
    """One token has all the probability; the largest random number below 1 does not lead behind the last token."""
    features = torch.tensor([[[1e4]]], dtype=dtype, requires_grad=True)
    weight = torch.tensor([[[1.0], [-1.0], [0.5]]], dtype=dtype, requires_grad=True)
    bias = torch.tensor([[0.0, 0.0, float("-inf")]], dtype=dtype)
    chance = torch.tensor([[[0.0, 0.5, 1 - torch.finfo(torch.float32).eps / 2]]])
    found = draw(features, weight, bias, chance)
    assert found.tokens.tolist() == [[[0, 0, 0]]]
    (found.logp.sum() + found.entropy.sum()).backward()
    assert all(part.isfinite().all() for part in (found.logp, found.entropy, features.grad, weight.grad))
