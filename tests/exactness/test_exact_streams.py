"""Rows that are selected, joined and trimmed in mid-stream read on as if they had always been alone."""

import pytest
import torch

from tacit.batch import Batch
from tacit.engine import cache, masks, stream
from tacit.engine.stream import open_stream
from tacit.layout import Layout, Segment
from tests.exactness import tiny
from tests.exactness.test_exact_branch import SOME, close, read_texts
from tests.exactness.tiny import VOCAB, thinker, words

LONG = [words(n, 120 + n) for n in (9, 6, 7)]
SHORT = [words(n, 140 + n) for n in (3, 5)]


def read_on(mind, opened, texts, seed=150, columns=2):
    """Every row reads a column of its own, twice; returns the texts grown by them and the last states."""
    for step in range(columns):
        fresh = [words(1, seed + 10 * r + step) for r in range(len(texts))]
        positions = torch.tensor([[len(text)] for text in texts])
        hidden = opened.read(mind.door.embed(torch.tensor(fresh)), positions).hidden[:, -1]
        texts = [(*text, *one) for text, one in zip(texts, fresh)]
    return texts, hidden


def check_rows(mind, hidden, texts):
    seen = tiny.mind(mind)
    for state, text in zip(hidden, texts):
        close(state, seen.forward(seen.embed(text))[1][-1][-1])


def check_select(family, gradient):
    mind = thinker(family)
    with torch.set_grad_enabled(gradient):
        opened, _ = read_texts(mind, LONG, "right")
        rows = [2, 0, 2, 1]
        chosen = opened.select(torch.tensor(rows))
        texts, hidden = read_on(mind, chosen, [LONG[r] for r in rows])
        check_rows(mind, hidden, texts)
        again = chosen.select(torch.tensor([3]))
        check_rows(mind, read_on(mind, again, [texts[3]], seed=170)[1], [(*texts[3], *words(1, 170), *words(1, 171))])
        untouched, hidden = read_on(mind, opened, LONG, seed=180)  # the stream that was selected from
        check_rows(mind, hidden, untouched)


def check_join(family, first, second, into, read_before=True):
    """The second's rows take the place of some of the first's, or stand behind them; rows end at the last column."""
    mind = thinker(family)
    with torch.no_grad():
        mine, _ = read_texts(mind, first, "right")
        texts = list(first)
        if read_before:
            texts, _ = read_on(mind, mine, texts)
        theirs, _ = read_texts(mind, second, "right")
        if into is None:
            joined, texts = mine.join(theirs), [*texts, *second]
        else:
            joined = mine.join(theirs, torch.tensor(into))
            for row, text in zip(into, second):
                texts[row] = text
        joined.trim()
        texts, hidden = read_on(mind, joined, texts, seed=190)
        check_rows(mind, hidden, texts)


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("family", SOME)
def test_select(family, gradient):
    check_select(family, gradient)


@pytest.mark.parametrize("read_before", [True, False])
@pytest.mark.parametrize("into", [None, [2, 0]])
@pytest.mark.parametrize("family", SOME)
def test_join(family, into, read_before):
    check_join(family, LONG, SHORT, into, read_before)
    check_join(family, SHORT, LONG[:2], None if into is None else [1, 0], read_before)


@pytest.mark.parametrize("family", ["gpt2", "mistral", "gemma3-mixed"])
def test_trim(family):
    """Columns that nobody keeps are forgotten, and only those."""
    mind = thinker(family)
    with torch.no_grad():
        opened, _ = read_texts(mind, LONG, "right")
        kept = opened.select(torch.tensor([1, 2]))
        kept.trim()
        assert kept.length == 7 and kept.cache.get_seq_length() == 7
        texts, hidden = read_on(mind, kept, LONG[1:], columns=cache.ROOM + 3)  # outgrows the spare room
        check_rows(mind, hidden, texts)


def check_holes(family, keep_holes=True):
    """Padding between two stretches of a row, as when prompts of different lengths follow a prefix they share."""
    mind = thinker(family)
    prefix = words(4, 160)
    with torch.no_grad():
        opened = open_stream(mind.door)
        opened.read(mind.door.embed(torch.tensor([prefix])), torch.arange(4)[None])
        spread = opened.select(torch.tensor([0, 0, 0]))
        rest = [Layout(Segment("rest", text, positions=tuple(range(4, 4 + len(text))))) for text in LONG]
        batch = Batch.of(rest, VOCAB, "right")
        spread.read(mind.door.embed(batch.ids), batch.positions, batch.keep if keep_holes else None)
        texts, hidden = read_on(mind, spread, [(*prefix, *text) for text in LONG])
        check_rows(mind, hidden, texts)


@pytest.mark.parametrize("family", SOME)
def test_holes(family):
    check_holes(family)


# --- twins -----------------------------------------------------------------------------------------------------------


def window_in_columns(patch):
    patch.setattr(masks, "order", lambda keep: torch.arange(keep.shape[1]).expand_as(keep))


def left_aligned_join(patch):
    def left(mine, theirs, rows, width):
        mine, theirs = (torch.nn.functional.pad(t, (0, width - t.shape[1])) for t in (mine, theirs))
        return torch.cat([mine, theirs]) if rows is None else mine.index_copy(0, rows, theirs)

    patch.setattr(stream, "_merge", left)


def trims_one_too_many(patch):
    drop = cache.Columns.drop
    patch.setattr(cache.Columns, "drop", lambda self, n: (drop(self, n), self.values.copy_(self.values.roll(1, 2))))


def selects_nothing(patch):
    patch.setattr(cache.Columns, "select", lambda self, rows, reserve: None)


@pytest.mark.parametrize(
    ("sabotage", "check"),
    [
        (window_in_columns, lambda: check_holes("mistral")),
        (lambda patch: None, lambda: check_holes("gpt2", keep_holes=False)),
        (lambda patch: None, lambda: check_holes("gru", keep_holes=False)),
        (left_aligned_join, lambda: check_join("gpt2", LONG, SHORT, [2, 0])),
        (trims_one_too_many, lambda: test_trim("gpt2")),
        (selects_nothing, lambda: check_select("gpt2", gradient=False)),
    ],
)
def test_sabotage_is_noticed(sabotage, check, monkeypatch):
    sabotage(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError)):
        check()
