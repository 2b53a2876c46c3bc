"""Rows in ids: our pieces, tokenised one by one, are the published string tokenised at once; and where an answer ends."""

import itertools

import numpy as np
import pytest
import torch

from tacit.engine.sampling import Sampling
from tacit.evaluate import split
from tacit.evaluate.split import evaluate_split
from tacit.example import encode
from tacit.methods.base import Progress
from tacit.methods.cot import Cot, NoCot
from tacit.methods.filler import PAUSE, WHOLE, Filler
from tacit.methods.icot import Icot
from tacit.methods.removal import EVERYTHING, Removal
from tacit.models.tokens import add_tokens
from tacit.recipe.reader import tree
from tacit.recipe.schema import Template
from tacit.recipe.sources import find, read
from tacit.recipe.training import Eval
from tacit.tasks.formats import parse_icot
from tacit.tasks.multiplication import Multiplication
from tacit.tasks.rows import Rows
from tests.compat import standins

LINES = [*standins.multiplication(4, 20).splitlines(), *standins.multiplication(2, 3).splitlines(), *standins.GSM8K]
PUBLISHED = {
    "internalization": " {src} {E} {cot} {E} {ans} {E}",
    "internalization-ready": " {src} {E}<|start|> {cot} <|ready|> {ans} {E}",
}


def template_of(name):
    layer, _ = read(find(f"fragments/{name}"))
    return Template(**tree(layer)["template"]).over(Multiplication().template)


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = standins.gpt2_tokenizer()
    add_tokens(tokenizer, (PAUSE,), ("<|start|>", "<|ready|>"))
    return tokenizer


@pytest.fixture(scope="module")
def vocab(tokenizer):
    return add_tokens(tokenizer, (PAUSE,))


def whole(name, line, tokenizer):
    """The published row of a line, all of it tokenised at once."""
    source, rest = line.split("||")
    cot, answer = (part.strip() for part in rest.split("####"))
    text = PUBLISHED[name].format(src=source, cot=cot, ans=f"#### {answer}", E=tokenizer.eos_token)
    return tokenizer(text, add_special_tokens=True)["input_ids"]


def laid_out(method, line, tokenizer, vocab, template, stage=0):
    [row] = encode([parse_icot(line)], tokenizer, template)
    return method.layouts(row, vocab, stage, np.random.default_rng(0))["main"]


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("method", [Icot(), Cot(), Filler(supervised=True)], ids=lambda method: type(method).__name__)
def test_pieces_are_the_whole(name, method, tokenizer, vocab):
    template = template_of(name)
    for line in LINES:
        layout = laid_out(method, line, tokenizer, vocab, template)
        assert layout.ids == whole(name, line, tokenizer)
        first = layout.ids.index(vocab.eos) + 1
        assert layout.labels == [-100] * first + layout.ids[first:], (
            "everything behind the first end of text is learned"
        )
        [row] = encode([parse_icot(line)], tokenizer, template)
        assert method.prompt(row, vocab, 0).ids == layout.ids[:first]


@pytest.mark.parametrize("words", [{"closing": ""}, {"cue": "{eos}####"}, {"question": "{question} {eos}"}])
def test_a_template_that_is_another_is_told_apart(words, tokenizer, vocab):
    """The twin: with a blank less, no row is the published one."""
    template = template_of("internalization").model_copy(update=words)
    for line in LINES:
        assert laid_out(Icot(), line, tokenizer, vocab, template).ids != whole("internalization", line, tokenizer)


@pytest.mark.parametrize(("name", "kept"), [("internalization", []), ("internalization-ready", ["<|start|>"])])
def test_what_is_left_when_all_is_removed(name, kept, tokenizer, vocab):
    """The blank behind the steps goes with them; what the model writes before them stays."""
    for side, line in itertools.product(("left", "right"), LINES):
        method = Icot(removal=Removal(side=side))
        layout = laid_out(method, line, tokenizer, vocab, template_of(name), EVERYTHING)
        ids = whole(name, line, tokenizer)
        first = ids.index(vocab.eos) + 1 + len(kept)
        mark = vocab.eos if not kept else tokenizer.convert_tokens_to_ids("<|ready|>")
        assert layout.ids == ids[:first] + ids[ids.index(mark, first) :]
        # One token before the end only the blank (left) or the first token (right) is left of the steps.
        chain = ids[first : ids.index(mark, first)]
        nearly = laid_out(method, line, tokenizer, vocab, template_of(name), len(chain) - 1)
        rest = nearly.ids[first : nearly.ids.index(mark, first)]
        assert rest == [chain[-1] if side == "left" else chain[0]]
    assert tokenizer.decode([chain[-1]]) == " "


def test_fillers_and_no_steps_keep_the_opening(tokenizer, vocab):
    template = template_of("internalization-ready")
    start, ready = tokenizer.convert_tokens_to_ids(["<|start|>", "<|ready|>"])
    line = LINES[0]
    assert laid_out(NoCot(), line, tokenizer, vocab, template).ids[11:13] == [start, ready]
    ids = laid_out(Filler(supervised=True), line, tokenizer, vocab, template, WHOLE).ids
    chain = whole("internalization-ready", line, tokenizer)
    span = chain.index(ready) - chain.index(start) - 1
    assert ids[ids.index(start) + 1 : ids.index(ready)] == [vocab.extra[PAUSE]] * span
    [row] = encode([parse_icot(line)], tokenizer, template)
    fed = Filler().prompt(row, vocab)
    assert fed.ids == laid_out(Filler(), line, tokenizer, vocab, template, WHOLE).ids[: len(fed.ids)]


def test_kept_positions_ask_where_they_learned(tokenizer, vocab):
    for name in PUBLISHED:
        [row] = encode([parse_icot(LINES[0])], tokenizer, template_of(name))
        method = Icot(positions="keep")
        layout = method.layouts(row, vocab, EVERYTHING, np.random.default_rng(0))["main"]
        prompt = method.prompt(row, vocab)
        assert (prompt.ids, prompt.positions) == (layout.ids[: len(prompt)], layout.positions[: len(prompt)])
        assert layout.positions[-1] == len(whole(name, LINES[0], tokenizer)) - 1


def test_removal_ends_with_the_longest_chain():
    removal = Removal(per_epoch=1)
    at = [Progress(step, step / 10, 100, 10, chain=3) for step in (0, 10, 20, 30, 90)]
    assert [removal.count(one) for one in at] == [0, 1, 2, EVERYTHING, EVERYTHING]
    unknown = [removal.count(one._replace(chain=1 << 20)) for one in at]
    assert unknown == [0, 1, 2, 3, 9], "the twin: the stage would grow, and the optimizer be reset, for ever"


@pytest.fixture
def scripted(world):
    """A thinker that writes what it is told, token after token."""
    from tacit.thinker import Thinker

    thinker = Thinker.from_pretrained(world / "gpt2")

    def tell(ids):
        said = iter(ids)
        thinker.logits = lambda hidden, _: torch.nn.functional.one_hot(
            torch.tensor([next(said)] * len(hidden)), thinker.vocabulary
        ).float()
        return thinker

    return tell


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_answer_ends_at_its_own_end(name, scripted, tokenizer, monkeypatch):
    """The published rule: the second end of text with the first layout, the first with the other."""
    monkeypatch.setattr(
        split, "read", lambda thinker, layouts, *_: [None] * len(layouts)
    )  # what is scripted is decoded
    line, template = LINES[0], template_of(name)
    ids = whole(name, line, tokenizer)
    if name == "internalization-ready":  # what the folder's tokenizer has no token for is spelled
        ids = standins.gpt2_tokenizer()(tokenizer.decode(ids))["input_ids"]
    eos = tokenizer.eos_token_id
    behind = ids[ids.index(eos) + 1 :]
    thinker = scripted([*behind, *[tokenizer.convert_tokens_to_ids("9")] * 500])
    task = Rows(train="x", extractor="hash@1").model_copy(update={"template": template})
    report = evaluate_split(thinker, Icot(), task, template, [parse_icot(line)], Eval(max_tokens=500))
    assert report.accuracy == 1.0 and report.rows[0]["extracted"] == parse_icot(line).answer
    assert report.forwards == len(behind), "nothing is read behind the end"
    assert report.cot_match == 1.0
    # The twin: a sampler that stops at the first end of text never comes to this layout's answer.
    thinker = scripted(behind)
    [row] = encode([parse_icot(line)], thinker.tokenizer, template)
    [done] = thinker.complete([Icot().prompt(row, thinker.vocab)], Sampling(max_tokens=500, ends=1))
    assert (done.ids == behind) == (name == "internalization-ready")


@pytest.mark.parametrize("name", PUBLISHED)
def test_pieces_are_the_whole_with_prepended_blanks(name):
    """A tokenizer that begins every text with a blank of its own does so once a row, not once a piece."""
    tokenizer = standins.mistral_tokenizer()
    vocab = add_tokens(tokenizer, (), ("<|start|>", "<|ready|>"))
    template = template_of(name)
    for line in LINES:
        layout = laid_out(Icot(), line, tokenizer, vocab, template)
        assert layout.ids == whole(name, line, tokenizer)
        assert layout.ids[0] == tokenizer.bos_token_id
        apart = laid_out(Icot(), line, tokenizer, vocab, template.model_copy(update={"joined": False}))
        assert len(apart.ids) > len(layout.ids), "the twin: piece by piece there are more"
