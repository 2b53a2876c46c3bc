"""Forks and branches: private continuations of one past are what separate rows would be, one row for each of them."""

import pytest
import torch

from tacit.batch import Batch
from tacit.engine import cache, masks, stream
from tacit.engine.stream import open_stream
from tacit.layout import Layout, Segment
from tests.exactness import oracle, tiny
from tests.exactness.tiny import SIZE, VOCAB, thinker, words

SOME = ("gpt2", "llama", "mistral", "gemma3-mixed", "gru", "lstm")
THOUGHT = 3
TEXTS = [words(n, seed) for n, seed in ((9, 21), (6, 22), (7, 23))]


def close(ours, theirs, bound=1e-12):
    gap = float((ours - theirs).detach().abs().max())
    assert gap <= bound, f"states differ by {gap:.3g}"


def read_texts(mind, texts, align="left"):
    """A stream that has read some texts, and the column of each one's first token."""
    batch = Batch.of([Layout(Segment("text", text)) for text in texts], VOCAB, align)
    opened = open_stream(mind.door)
    opened.read(mind.door.embed(batch.ids), batch.positions, batch.keep if batch.padded else None)
    return opened, batch


# --- fork ------------------------------------------------------------------------------------------------------------


def check_fork(family, gradient):
    """Two forks and the stream itself read different things in turn; each has read only its own."""
    mind = thinker(family)
    text, mine = TEXTS[0], [words(4, seed) for seed in (31, 32, 33)]
    with torch.set_grad_enabled(gradient):
        trunk, _ = read_texts(mind, [text])
        trunk.read(mind.door.embed(torch.tensor([mine[2][:1]])), torch.tensor([[len(text)]]))
        past = (*text, mine[2][0])
        readers = [trunk.fork(), trunk.fork(), trunk]
        last = {}
        for step in range(1, 4):
            for i, reader in enumerate(readers):
                position = torch.tensor([[len(text) + step]])
                last[i] = reader.read(mind.door.embed(torch.tensor([[mine[i][step]]])), position).hidden[0, -1]
    for i in range(3):
        seen = tiny.mind(mind)
        _, layers = seen.forward(seen.embed([*past, *mine[i][1:]]))
        close(last[i], layers[-1][-1])


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("family", SOME)
def test_forks_never_see_each_other(family, gradient):
    check_fork(family, gradient)


@pytest.mark.parametrize("gradient", [True, False])
def test_a_shared_cache_is_noticed(gradient, monkeypatch):
    monkeypatch.setattr(stream, "fork_cache", lambda cache: cache)
    with pytest.raises((AssertionError, RuntimeError)):
        check_fork("gpt2", gradient)


def test_a_shared_buffer_is_noticed(monkeypatch):
    def fork(self):
        other = cache.Columns()
        other.__dict__.update(self.__dict__)
        return other

    monkeypatch.setattr(cache.Columns, "fork", fork)
    with pytest.raises(AssertionError, match="states differ"):
        check_fork("gpt2", gradient=False)


# --- a thought behind every token ------------------------------------------------------------------------------------


def sampled(mind, batch, trunk, offset, dense):
    """(B, C, THOUGHT) tokens, drawn one after the other behind every column, with the hidden states of each read."""
    at = torch.arange(batch.shape[1]).expand(batch.shape)
    cells = torch.arange(batch.shape[1])
    generator = torch.Generator().manual_seed(5)
    branch = trunk.branch(at, offset, dense)
    tokens, states = [torch.full(batch.shape, VOCAB.open)], []
    with torch.no_grad():
        for _ in range(THOUGHT):
            states.append(branch.read(mind.door.embed(tokens[-1]), cells).hidden)
            chance = mind.door.head(states[-1]).softmax(-1).flatten(0, 1)
            tokens.append(torch.multinomial(chance, 1, generator=generator).view(batch.shape))
    return torch.stack(tokens[:-1], 2), torch.stack(states, 2)


def check_quiet(family, offset=0, dense=False):
    """Sampled token by token without gradient, then read at once with it: both are one naive row for every column."""
    mind = thinker(family)
    with torch.no_grad():
        trunk, batch = read_texts(mind, TEXTS)
        tokens, states = sampled(mind, batch, trunk, offset, dense)
    trunk, batch = read_texts(mind, TEXTS)
    cells = torch.arange(batch.shape[1]).repeat_interleave(THOUGHT)
    at = torch.arange(batch.shape[1]).expand(batch.shape)
    again = trunk.branch(at, offset, dense).read(mind.door.embed(tokens.flatten(1)), cells).hidden
    again = again.unflatten(1, tokens.shape[1:])
    logp = mind.door.head(again).log_softmax(-1)[:, :, :-1].gather(-1, tokens[:, :, 1:, None])[..., 0]
    ours, theirs = logp[batch.keep].sum(), 0
    for r, text in enumerate(TEXTS):
        for column in range(len(text)):
            thought = tokens[r, column].tolist()
            logits, last = oracle.quiet(tiny.mind(mind), text, thought, column, offset)
            close(states[r, column], last)
            close(again[r, column], last)
            naive = logits.log_softmax(-1)[:-1].gather(-1, tokens[r, column, 1:, None])[:, 0]
            close(logp[r, column], naive)
            theirs = theirs + naive.sum()
    count = batch.keep.sum() * (THOUGHT - 1)
    tiny.same(family, mind, ours / count, theirs / count)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("family", SOME)
def test_a_thought_behind_every_token(family, dense):
    check_quiet(family, dense=dense)


def test_thoughts_at_positions_of_their_own():
    check_quiet("gpt2", offset=3)


def branch_sees_too_much(patch):
    original = masks.branched
    patch.setattr(masks, "branched", lambda trunk, at, *rest: original(trunk, (at + 1).clamp(max=8), *rest))


def cells_see_each_other(patch):
    original = masks.branched
    everywhere = lambda trunk, at, cell, *rest: original(trunk, at, torch.zeros_like(cell), *rest)  # noqa: E731
    patch.setattr(masks, "branched", everywhere)


def branch_window_ignored(patch):
    original = masks.branched
    patch.setattr(masks, "branched", lambda *given: original(*given[:-1], None))


def branch_off_by_one(patch):
    init = stream.AttentionBranch.__init__
    patch.setattr(
        stream.AttentionBranch,
        "__init__",
        lambda self, trunk, at, offset, *rest: init(self, trunk, at, offset + 1, *rest),
    )


@pytest.mark.parametrize(
    ("family", "sabotage"),
    [
        ("gpt2", branch_sees_too_much),
        ("gpt2", cells_see_each_other),
        ("mistral", branch_window_ignored),
        ("gpt2", branch_off_by_one),
        ("llama", branch_off_by_one),
    ],
)
def test_sabotaged_branches_are_noticed(family, sabotage, monkeypatch):
    sabotage(monkeypatch)
    with pytest.raises(AssertionError, match="states differ"):
        check_quiet(family, dense=True)


# --- cells of different lengths, read in several goes ----------------------------------------------------------------


def check_ragged(family, keep_pads=True):
    """Every cell has its own length, shorter ones are padded, and all of them read on behind the padding."""
    mind = thinker(family)
    trunk, _ = read_texts(mind, TEXTS)
    generator = torch.Generator().manual_seed(6)
    B, C, first, then = len(TEXTS), 3, 4, 2
    at = torch.tensor([[len(text) - 1, 1, 3] for text in TEXTS])
    lengths = torch.randint(1, first + 1, (B, C), generator=generator)
    tokens = torch.randint(5, SIZE, (B, C, first + then), generator=generator)
    keep = torch.arange(first) < lengths[..., None]
    branch = trunk.branch(at)
    cells = torch.arange(C)
    embeds = mind.door.embed(tokens)
    given = keep.flatten(1) if keep_pads else None
    one = branch.read(embeds[:, :, :first].flatten(1, 2), cells.repeat_interleave(first), given).hidden
    two = branch.read(embeds[:, :, first:].flatten(1, 2), cells.repeat_interleave(then)).hidden
    one, two = one.unflatten(1, (C, first)), two.unflatten(1, (C, then))
    for r, text in enumerate(TEXTS):
        for c in range(C):
            n = int(lengths[r, c])
            thought = [*tokens[r, c, :n].tolist(), *tokens[r, c, first:].tolist()]
            _, last = oracle.quiet(tiny.mind(mind), text, thought, int(at[r, c]))
            close(one[r, c, :n], last[:n])
            close(two[r, c], last[n:])


@pytest.mark.parametrize("family", SOME)
def test_ragged_cells(family):
    check_ragged(family)
    with pytest.raises(AssertionError, match="states differ"):
        check_ragged(family, keep_pads=False)


def test_cells_of_unequal_numbers_of_columns():
    """One read may bring three columns for one cell and one for another, and a later read some cells only."""
    for family in SOME:
        mind = thinker(family)
        trunk, _ = read_texts(mind, TEXTS[:1])
        branch = trunk.branch(torch.tensor([[2, 5]]))
        tokens = words(6, 41)
        first = branch.read(mind.door.embed(torch.tensor([tokens[:4]])), torch.tensor([0, 0, 0, 1]))
        then = branch.read(mind.door.embed(torch.tensor([tokens[4:]])), torch.tensor([1, 1]))
        _, left = oracle.quiet(tiny.mind(mind), TEXTS[0], tokens[:3], 2)
        _, right = oracle.quiet(tiny.mind(mind), TEXTS[0], tokens[3:], 5)
        close(torch.cat([first.hidden, then.hidden], 1)[0], torch.cat([left, right]))


def test_a_branch_leaves_its_trunk_alone():
    for family in SOME:
        mind = thinker(family)
        with torch.no_grad():
            trunk, _ = read_texts(mind, TEXTS[:1])
            branch = trunk.branch(torch.tensor([[4]]))
            branch.read(mind.door.embed(torch.tensor([words(2, 42)])), torch.tensor([0, 0]))
            after = trunk.read(mind.door.embed(torch.tensor([words(1, 43)])), torch.tensor([[len(TEXTS[0])]])).hidden
            seen = tiny.mind(mind)
            close(after[0, 0], seen.forward(seen.embed([*TEXTS[0], *words(1, 43)]))[1][-1][-1])
