"""Internalization beside plain fine-tuning: 4×4-digit multiplication as published, GPT-2 with 4 layers of 256, 32 rows.

`ours` is the whole of `fit` at stage 0, where nothing is removed yet, with what a gate watches. `plain` is the library's
model with its own loss over the same rows, clipping and AdamW, on batches that were made beforehand. Then the same run at
later stages with `train.grow`: tokens of a step stay, rows become more.
"""

import tempfile
import time
from pathlib import Path

import torch

from benchmarks.harness import compare, main, row

ROWS, WARM = 32, 3
FULL, EACH = 12, 3
"""Steps with the whole chain of thought, and steps for each token that is removed."""
VOCABULARIES = {"4x256 B32 V24": None, "4x256 B32 V50257": 50257}
STAGES = (0, 12, 24, 36, 46)


def build(vocabulary: int | None):
    from tacit.example import encode
    from tacit.models.scratch import Scratch, build
    from tacit.models.tokenizers import word_tokenizer
    from tacit.models.tokens import add_tokens
    from tacit.tasks.multiplication import Multiplication
    from tacit.thinker import Thinker

    torch.set_num_threads(1)
    task = Multiplication(train_rows=5000)
    tokenizer = word_tokenizer(task.words())
    vocab = add_tokens(tokenizer)
    scratch = Scratch(family="gpt2", layers=4, hidden=256, heads=4, positions=128)
    model = build(scratch, vocabulary or len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=0)
    return Thinker(model, tokenizer, vocab), encode(task.examples("train"), tokenizer, task.template)


def run(thinker, encoded, steps: int) -> list[tuple[int, float, int, int]]:
    """(stage, seconds, rows, tokens) of every step of a whole run: `FULL` steps with all tokens written, then `EACH` for
    each that is removed."""
    from tacit.recipe.choice import decode
    from tacit.recipe.schema import Recipe
    from tacit.train.fit import fit
    from tacit.train.step import Stepper

    method = {"name": "icot", "positions": "keep", "removal": {"every": EACH, "from_step": FULL - EACH}}
    train = {"steps": steps, "batch": ROWS, "log_every": 1, "lr": 1e-4, "grow": True}
    recipe = decode(Recipe, {"task": {"name": "multiplication"}, "method": method, "train": train})
    begun: list[float] = []
    seen: list[tuple[int, int, int]] = []
    take = Stepper.take

    def noted(self, step, picks, stage):
        begun.append(time.process_time())
        outcome = take(self, step, picks, stage)
        seen.append((stage, len(picks), outcome.tokens))
        return outcome

    Stepper.take = noted  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        fit(recipe, thinker, recipe.method.settings, encoded, folder=folder)
    return [(stage, b - a, rows, tokens) for (stage, rows, tokens), a, b in zip(seen, begun, begun[1:])]


def plain(thinker, encoded) -> dict[str, float]:
    """Fine-tuning as one would write it: whole logits, the library's loss."""
    from tacit.methods.icot import Icot
    from tacit.recipe.training import Train
    from tacit.train.data import Shuffled, lay_out, lessons
    from tacit.train.optim import make_optimizer

    order = Shuffled(len(encoded), ROWS, 0)
    rows = [lay_out(Icot(), encoded, order.picks(step), thinker.vocab, 0, 0) for step in range(FULL)]
    batches = [lessons(Icot(), r, thinker.vocab, ROWS)[0].views["main"] for r in rows]
    model, optimizer = thinker.model.train(), make_optimizer(thinker, Train(steps=FULL, lr=1e-4))
    seconds = []
    for batch in batches:
        start = time.process_time()
        optimizer.zero_grad()
        model(input_ids=batch.ids, attention_mask=batch.keep.long(), labels=batch.labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds.append(time.process_time() - start)
    return {"cpu": min(seconds[WARM:])}


def one(size: str, contender: str) -> dict[str, float]:
    thinker, encoded = build(VOCABULARIES[size])
    if contender == "plain":
        return plain(thinker, encoded)
    if contender == "ours":
        return {"cpu": min(seconds for _, seconds, _, _ in run(thinker, encoded, FULL)[WARM:])}
    found: dict[str, float] = {}
    steps = run(thinker, encoded, FULL + EACH * STAGES[-1])
    for stage in STAGES:
        # What has taken the whole chain is a stage of its own, with a number beyond all counts.
        mine = [step for step in steps if min(step[0], STAGES[-1]) == stage]
        found |= {
            f"cpu-{stage}": min(s for _, s, _, _ in mine),
            f"rows-{stage}": mine[0][2],
            f"tokens-{stage}": mine[0][3],
        }
    return found


def report(rounds: int = 3) -> list[dict]:
    here = str(Path(__file__).resolve())
    rows = []
    for size in VOCABULARIES:
        found = compare(here, size, ["ours", "plain"], rounds)
        mine, floor = (1 / found[name]["cpu"] for name in ("ours", "plain"))
        rows.append(row("steps of stage 0 / plain fine-tuning", size, mine, floor, "steps/s", 0.97, more=True))
    size = next(iter(VOCABULARIES))
    found = compare(here, size, ["stages"], 1)["stages"]
    for stage in STAGES[1:]:
        for what, unit, scale in (
            ("tokens", "tokens a step", 1.0),
            ("rows", "rows a step", 1.0),
            ("cpu", "cpu ms", 1e3),
        ):
            values = [found[f"{what}-{k}"] * scale for k in (stage, 0)]
            rows.append(row(f"{what} with {stage} gone / none", size, *values, unit))
    return rows


if __name__ == "__main__":
    main(__doc__, report, one)
