"""Gains of tokens: known ones come back, and files of other tokens are refused."""

import json
import string

import numpy as np
import pytest
import torch

from tacit.cli import main
from tacit.errors import DataError, TacitError
from tacit.evaluate import evaluate
from tacit.models.scratch import Scratch, build
from tacit.models.tokenizers import character_tokenizer
from tacit.models.tokens import add_tokens
from tacit.study.gains import gains
from tacit.thinker import Thinker

PNG = b"\x89PNG\r\n"


def write(path, nll, tokenizer="t", tokens=None, domains=None):
    rows = []
    for n, each in enumerate(nll):
        row = {"id": str(n), "tokenizer": tokenizer, "tokens": (tokens or [list(range(len(one))) for one in nll])[n]}
        rows.append(row | {"nll": list(each)} | ({"domain": domains[n]} if domains else {}))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def files(tmp_path):
    """A larger model gains x of each token, thoughts gain −x/2 + noise."""
    rng = np.random.default_rng(0)
    plain, scale = rng.uniform(3, 6, (20, 30)), rng.normal(0.2, 1, (20, 30))
    thinking = -scale / 2 + rng.normal(0, 0.5, (20, 30))
    domains = ["news"] * 8 + ["code"] * 12
    made = {
        name: write(tmp_path / f"{name}.jsonl", (plain - gain).tolist(), domains=domains)
        for name, gain in (("plain", 0), ("large", scale), ("thought", thinking))
    }
    return made, scale, thinking


def test_known_gains_come_back(files, tmp_path):
    made, scale, thinking = files
    pairs = {"scale": (made["plain"], made["large"]), "thinking": (made["plain"], made["thought"])}
    told = gains(pairs, tmp_path / "out")
    every = told["all"]
    assert every["tokens"] == 600
    assert every["scale_gain"] == pytest.approx(scale.mean()) and every["thinking_gain"] == pytest.approx(
        thinking.mean()
    )
    assert every["scale_helped"] == (scale > 0).mean() and every["thinking_helped"] == (thinking > 0).mean()
    a, b = scale.ravel() - scale.mean(), thinking.ravel() - thinking.mean()
    assert every["correlation"] == pytest.approx((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))
    assert -0.8 < every["correlation"] < -0.6
    assert told["domains"]["news"]["scale_gain"] == pytest.approx(scale[:8].mean())
    assert json.loads((tmp_path / "out" / "gains.json").read_text()) == told
    assert (tmp_path / "out" / "gains.png").read_bytes().startswith(PNG)


def test_twin_before_and_after_exchanged_is_a_loss(files, tmp_path):
    made, scale, _ = files
    told = gains({"scale": (made["large"], made["plain"])}, tmp_path / "out")["all"]
    assert told["scale_gain"] == pytest.approx(-scale.mean()) and "correlation" not in told
    assert (tmp_path / "out" / "gains.png").read_bytes().startswith(PNG)


def test_no_gain_at_all_has_no_correlation(files, tmp_path):
    made, _, _ = files
    told = gains(dict.fromkeys(("scale", "thinking"), (made["plain"], made["plain"])), tmp_path / "out")["all"]
    assert (told["correlation"], told["scale_helped"]) == (None, 0)


def test_files_that_cannot_be_compared_are_refused(tmp_path):
    one = write(tmp_path / "a.jsonl", [[1.0, 2.0]])
    out = tmp_path / "out"
    cases = [
        (write(tmp_path / "b.jsonl", [[1.0, 2.0]], tokenizer="u"), "are of different tokenizers"),
        (write(tmp_path / "c.jsonl", [[1.0, 2.0]], tokens=[[0, 2]]), "c.jsonl:1: tokens: not those of"),
        (write(tmp_path / "d.jsonl", [[1.0, 2.0], [1.0]]), "has 1 texts and .* has 2"),
        (write(tmp_path / "e.jsonl", [[1.0]], tokens=[[0, 1]]), "e.jsonl:1: nll: 1 numbers for 2 tokens"),
        (tmp_path / "none.jsonl", "there is no file .*none.jsonl; make it with tacit eval"),
    ]
    for other, reason in cases:
        with pytest.raises(TacitError, match=reason):
            gains({"scale": (one, other)}, out)
    (tmp_path / "f.jsonl").write_text('{"id": "0", "text": "x"}\n')
    with pytest.raises(DataError, match="tokenizer: missing"):
        gains({"scale": (one, tmp_path / "f.jsonl")}, out)
    with pytest.raises(TacitError, match="nothing to compare"):
        gains({}, out)
    assert not out.exists()


# --- from two models to the picture ----------------------------------------------------------------------------------


def model(letters, hidden=16):
    tokenizer = character_tokenizer([letters])
    vocab = add_tokens(tokenizer)
    scratch = Scratch(family="gpt2", layers=1, hidden=hidden, heads=2, positions=16, init_std=0.3)
    return Thinker(
        build(scratch, len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=0).double(), tokenizer, vocab
    ).eval()


def test_from_models_to_numbers(tmp_path, capsys):
    texts = tmp_path / "texts.jsonl"
    rows = [{"text": "a stone", "domain": "hills"}, {"text": "longer than what fits", "domain": "seas"}]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    small, large = model(string.printable), model(string.printable, hidden=32)
    for name, thinker in (("small", small), ("large", large)):
        report = evaluate(thinker, data=texts, tokens=True, batch=1 if name == "small" else 7)
        report.write_rows(tmp_path / f"{name}.jsonl")
    [_, cut] = [json.loads(line) for line in (tmp_path / "large.jsonl").read_text().splitlines()]
    ids = large.tokenizer(rows[1]["text"], add_special_tokens=False)["input_ids"][:16]
    told = large.model(torch.tensor([ids])).logits[0].detach().log_softmax(-1)
    assert cut["tokens"] == ids[1:] and cut["domain"] == "seas"
    assert cut["nll"] == pytest.approx([-float(told[n, token]) for n, token in enumerate(ids[1:])], rel=1e-9)
    with pytest.raises(SystemExit) as caught:
        main(
            [
                "gains",
                "--scale",
                *(str(tmp_path / f"{n}.jsonl") for n in ("small", "large")),
                "--out",
                str(tmp_path / "g"),
            ]
        )
    assert not caught.value.code and "scale_helped" in capsys.readouterr().out
    assert set(json.loads((tmp_path / "g" / "gains.json").read_text())["domains"]) == {"hills", "seas"}
    other = evaluate(model(string.ascii_letters + " "), data=texts, tokens=True)
    other.write_rows(tmp_path / "other.jsonl")
    with pytest.raises(DataError, match="different tokenizers"):
        gains({"scale": (tmp_path / "small.jsonl", tmp_path / "other.jsonl")}, tmp_path / "g")


def test_tokens_of_thinking_make_no_other_tokenizer():
    from tacit.evaluate.texts import fingerprint

    plain = character_tokenizer([string.printable])
    more = character_tokenizer([string.printable])
    add_tokens(more)
    assert fingerprint(plain) == fingerprint(more) != fingerprint(character_tokenizer(["abc"]))
