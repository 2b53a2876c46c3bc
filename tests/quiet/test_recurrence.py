"""The recurrence of many models at once is torch.nn.GRU, in its values and in every gradient."""

import pytest
import torch
from torch import Tensor, nn

import tacit.quiet.recurrence as recurrence
from tacit.quiet.recurrence import gru, token_table

MODELS, ROWS, COLUMNS, SIZE, WORDS = 3, 5, 4, 6, 7


def made() -> tuple[list[nn.Embedding], list[nn.GRU], Tensor, Tensor]:
    embeddings = [nn.Embedding(WORDS, SIZE).double() for _ in range(MODELS)]
    layers = [nn.GRU(SIZE, SIZE).double() for _ in range(MODELS)]
    ids = torch.randint(0, WORDS, (COLUMNS, MODELS, ROWS))
    before = torch.randn(MODELS, ROWS, SIZE, dtype=torch.float64)
    return embeddings, layers, ids, before


def apart(embeddings, layers, ids: Tensor, before: Tensor, lengths: Tensor) -> Tensor:
    """(W, S, N, H) by torch's own layers, row by row; a row that has ended keeps its state."""
    whole = []
    for s in range(MODELS):
        rows = []
        for n in range(ROWS):
            read = ids[: lengths[s, n], s, n]
            states = layers[s](embeddings[s](read), before[s, n][None])[0] if len(read) else before[:0, 0]
            last = states[-1:] if len(read) else before[s, n][None]
            rows.append(torch.cat([states, last.expand(COLUMNS - len(states), -1)]))
        whole.append(torch.stack(rows, 1))
    return torch.stack(whole, 1)


def together(embeddings, layers, ids: Tensor, before: Tensor, active: list[int] | None = None) -> Tensor:
    def stack(read) -> Tensor:
        return torch.stack([read(embedding, layer) for embedding, layer in zip(embeddings, layers)])

    table = token_table(
        stack(lambda e, _: e.weight), stack(lambda _, m: m.weight_ih_l0), stack(lambda _, m: m.bias_ih_l0)
    )
    return gru(table, ids, before, stack(lambda _, m: m.weight_hh_l0), stack(lambda _, m: m.bias_hh_l0), active)


def gradients(states: Tensor, embeddings, layers, before: Tensor) -> list[Tensor]:
    weights = torch.linspace(-1, 1, states.numel(), dtype=torch.float64).view(states.shape)
    parameters = [p for module in (*embeddings, *layers) for p in module.parameters()]
    return list(torch.autograd.grad((states * weights).sum(), [before, *parameters]))


def agree(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("block", [1, 40, 1 << 15], ids=["row by row", "two rows", "at once"])
def test_it_is_the_gru_of_torch(block, monkeypatch):
    monkeypatch.setattr(recurrence, "BLOCK", block)
    embeddings, layers, ids, before = made()
    before.requires_grad_()
    full = torch.full((MODELS, ROWS), COLUMNS)
    wanted, found = apart(embeddings, layers, ids, before, full), together(embeddings, layers, ids, before)
    assert torch.allclose(wanted, found, rtol=0, atol=1e-12)
    one, other = (gradients(states, embeddings, layers, before) for states in (wanted, found))
    assert agree(one, other)
    # Twin: models in another order have other gradients.
    swapped = gradients(together(embeddings[::-1], layers[::-1], ids, before), embeddings, layers, before)
    assert not agree(one, swapped)


@pytest.mark.parametrize("block", [40, 1 << 15], ids=["two rows", "at once"])
@pytest.mark.parametrize("counted", [True, False], ids=["left out", "read as nothing"])
def test_rows_that_end_early_keep_their_state(block, counted, monkeypatch):
    """Both where they are left out of a column and where they read nothing in it."""
    monkeypatch.setattr(recurrence, "BLOCK", block)
    embeddings, layers, ids, before = made()
    before.requires_grad_()
    lengths = torch.tensor([4, 3, 3, 1, 0]).expand(MODELS, -1)
    given = ids.masked_fill(torch.arange(COLUMNS)[:, None, None] >= lengths, WORDS)
    active = [int((lengths[0] > t).sum()) for t in range(COLUMNS)] if counted else None
    wanted = apart(embeddings, layers, ids, before, lengths)
    found = together(embeddings, layers, given, before, active)
    assert torch.allclose(wanted, found, rtol=0, atol=1e-12)
    one, other = (gradients(states, embeddings, layers, before) for states in (wanted, found))
    assert agree(one, other)
    # Twin: rows that go on end elsewhere.
    more = together(embeddings, layers, ids, before)
    assert not torch.allclose(wanted, more, rtol=0, atol=1e-6)


def test_states_are_finite_behind_extreme_weights():
    embeddings, layers, ids, before = made()
    with torch.no_grad():
        for module in (*embeddings, *layers):
            for p in module.parameters():
                p.mul_(1e4)
    before.requires_grad_()
    states = together(embeddings, layers, ids, before)
    assert states.isfinite().all() and all(g.isfinite().all() for g in gradients(states, embeddings, layers, before))
