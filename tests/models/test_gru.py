"""The recurrent model: reading in pieces, from any column and past padding is exact."""

import pytest
import torch
from torch import nn

from tacit.errors import ModelError
from tacit.models.gru import GRUConfig, GRUForCausalLM, GRUModel

EXACT = {"rtol": 0, "atol": 1e-12}
CELLS = ["gru", "lstm"]
WIDTH, HIDDEN, ROWS = 9, 6, 3


def tiny(cell="gru", layers=2, **more) -> GRUForCausalLM:
    config = GRUConfig(vocab_size=11, hidden_size=HIDDEN, num_hidden_layers=layers, cell=cell, **more)
    return GRUForCausalLM(config).double().eval()


def some_padding() -> torch.Tensor:
    """Left, interior and right padding, several stretches of it, and a row that begins with a whole piece of it."""
    keep = torch.tensor([[0, 0, 1, 1, 0, 1, 0, 1, 1], [1, 0, 1, 1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0, 1, 0, 1]])
    return keep.bool()


def in_pieces(model: GRUModel, embeds, keep, cuts, *, state_kept=True, padding_kept=True):
    """The reading under test; the two options are what must not be done."""
    state, hidden, states = None, [], []
    for start, end in zip([0, *cuts], [*cuts, WIDTH]):
        piece = None if keep is None or not padding_kept else keep[:, start:end]
        read, after = model.read(embeds[:, start:end], state if state_kept else None, piece)
        state = after[:, -1]
        hidden.append(read)
        states.append(after)
    return torch.cat(hidden, 1), torch.cat(states, 1)


def outcome_and_gradients(model, embeds, read):
    """What was read, and the gradients of one arbitrary number made of it, for the input and every weight."""
    embeds = embeds.clone().requires_grad_()
    hidden, states = read(embeds)
    weights = torch.arange(1, states.numel() + 1, dtype=torch.double).sin().view(states.shape)
    (hidden.tanh().sum() + (states * weights).sum()).backward()
    gradients = [embeds.grad, *(p.grad for p in model.layers.parameters())]
    model.zero_grad(set_to_none=True)
    return [hidden, states, *gradients]


def same(found, expected) -> bool:
    return all(torch.allclose(a, b, **EXACT) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("keep", [None, some_padding()], ids=["whole", "padded"])
@pytest.mark.parametrize("cuts", [(3,), (1, 4, 8), range(1, WIDTH)])
def test_reading_in_pieces_is_reading_at_once(cell, keep, cuts):
    model = tiny(cell).model
    embeds = torch.randn(ROWS, WIDTH, HIDDEN, dtype=torch.double)
    at_once = outcome_and_gradients(model, embeds, lambda x: model.read(x, keep=keep))
    pieces = outcome_and_gradients(model, embeds, lambda x: in_pieces(model, x, keep, cuts))
    assert same(pieces, at_once)
    forgetful = outcome_and_gradients(model, embeds, lambda x: in_pieces(model, x, keep, cuts, state_kept=False))
    assert not same(forgetful, at_once)
    if keep is not None:
        careless = outcome_and_gradients(model, embeds, lambda x: in_pieces(model, x, keep, cuts, padding_kept=False))
        assert not same(careless, at_once)


@pytest.mark.parametrize("cell", CELLS)
def test_any_column_can_be_continued(cell):
    model = tiny(cell).model
    embeds = torch.randn(ROWS, WIDTH, HIDDEN, dtype=torch.double)
    thought = torch.randn(ROWS, 4, HIDDEN, dtype=torch.double)
    _, states = model.read(embeds)
    for column in range(WIDTH):
        naive = model.read(torch.cat([embeds[:, : column + 1], thought], 1))
        branch = model.read(thought, state=states[:, column])
        assert same(branch, [side[:, column + 1 :] for side in naive])
        late = model.read(thought, state=states[:, column - 1])
        assert not same(late, [side[:, column + 1 :] for side in naive])


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_is_not_changed_by_reading_on(cell):
    model = tiny(cell).model
    _, states = model.read(torch.randn(ROWS, WIDTH, HIDDEN, dtype=torch.double))
    before = states.clone()
    model.read(torch.randn(ROWS, WIDTH, HIDDEN, dtype=torch.double), state=states[:, 3])
    assert torch.equal(states, before)


@pytest.mark.parametrize("cell", CELLS)
def test_padding_leaves_no_trace(cell):
    model, keep = tiny(cell).model, some_padding()
    embeds = torch.randn(ROWS, WIDTH, HIDDEN, dtype=torch.double)
    _, states = model.read(embeds, keep=keep)
    past = torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], 1)
    assert torch.equal(states[~keep], past[~keep]), "a padded column is not a small change, it is none"
    for row in range(ROWS):
        _, alone = model.read(embeds[row : row + 1, keep[row]])
        assert torch.allclose(states[row, keep[row]], alone[0], **EXACT)


@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_in_padding_cannot_come_back_through_gradients(cell):
    model, keep = tiny(cell).model, some_padding()
    embeds = torch.randn(ROWS, WIDTH, HIDDEN, dtype=torch.double)
    clean = outcome_and_gradients(model, embeds, lambda x: model.read(x, keep=keep))
    dirty = embeds.masked_fill(~keep[..., None], torch.nan)
    assert same(outcome_and_gradients(model, dirty, lambda x: model.read(x, keep=keep)), clean)
    assert (clean[2][~keep] == 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_but_padding_is_a_read_that_changes_nothing(cell):
    model = tiny(cell).model
    _, states = model.read(torch.randn(ROWS, 2, HIDDEN, dtype=torch.double))
    nothing = torch.zeros(ROWS, 4, dtype=torch.bool)
    _, after = model.read(torch.randn(ROWS, 4, HIDDEN, dtype=torch.double), states[:, -1], nothing)
    assert torch.equal(after, states[:, -1:].expand_as(after))


@pytest.mark.parametrize("cell", CELLS)
def test_the_layers_are_torch_s_own(cell):
    model = tiny(cell, layers=3).model
    oracle = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](HIDDEN, HIDDEN, num_layers=3, batch_first=True).double()
    weights = {}
    for level, layer in enumerate(model.layers):
        for name, value in layer.named_parameters():
            weights[f"{name.removesuffix('_l0')}_l{level}"] = value
    oracle.load_state_dict(weights)
    embeds = torch.randn(ROWS, WIDTH, HIDDEN, dtype=torch.double)
    hidden, states = model.read(embeds)
    expected, last = oracle(embeds)
    last = torch.cat(last, -1) if cell == "lstm" else last
    assert torch.allclose(hidden, expected, **EXACT)
    assert torch.allclose(states[:, -1], last.transpose(0, 1), **EXACT)
    assert states.shape == (ROWS, WIDTH, 3, model.state_size)


def test_parameters_are_those_of_the_published_baselines():
    # 11,812 and 324,004 are published; they include one unused layer of 32 by 32 and its bias.
    unused = 32 * 32 + 32
    for head, published in {"linear": 11_812, "mlp": 324_004}.items():
        model = GRUForCausalLM(GRUConfig(vocab_size=68, hidden_size=32, head=head))
        assert model.num_parameters() == published - unused


def test_dropout_is_for_training_and_never_between_columns():
    model = tiny(dropout=0.5).model
    embeds = torch.randn(ROWS, WIDTH, HIDDEN, dtype=torch.double)
    _, expected = model.read(embeds)
    hidden, states = model.train().read(embeds)
    assert torch.equal(states[:, :, 0], expected[:, :, 0]), "the first layer reads what it always reads"
    assert not torch.allclose(states[:, :, 1], expected[:, :, 1])
    assert 0.2 < (hidden == 0).double().mean() < 0.8


def test_evaluation_is_free_of_chance_and_keeps_gradients():
    model = tiny(dropout=0.5).train().eval().model
    embeds = torch.randn(ROWS, WIDTH, HIDDEN, dtype=torch.double, requires_grad=True)
    hidden, _ = model.read(embeds)
    assert torch.equal(hidden, model.read(embeds)[0])
    assert all(layer.training for layer in model.layers), "what cuDNN asks for; it changes nothing else"
    assert not (model.training or model.dropout.training)
    hidden.sum().backward()
    assert embeds.grad is not None


def test_initialisation_follows_the_setting():
    own = GRUForCausalLM(GRUConfig(vocab_size=500, hidden_size=64))
    small = GRUForCausalLM(GRUConfig(vocab_size=500, hidden_size=64, initializer_range=0.02))
    assert own.get_input_embeddings().weight.std().item() == pytest.approx(1, rel=0.05)
    assert small.get_input_embeddings().weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert small.lm_head.weight.std().item() == pytest.approx(0.02, rel=0.05)
    for model in (own, small):
        assert model.model.layers[0].weight_hh_l0.abs().max() <= 64**-0.5


def test_impossible_shapes_are_refused():
    with pytest.raises(ModelError, match="tied: false"):
        GRUConfig(head="mlp", tie_word_embeddings=True)
    with pytest.raises(ModelError, match="'rnn'"):
        GRUConfig(cell="rnn")
