"""Generation against the library's cached `generate`: GPT-2, 4 layers of 256, prompts of 64 tokens, 24 new tokens each.

Ours takes 6 silent steps before it writes; the floor writes at once. Both are greedy and never stop early.
"""

from pathlib import Path

import torch

from benchmarks.coconut import build
from benchmarks.harness import compare, main, row, timed

NEW, LATENTS, PROMPT = 24, 6, 64
LONG = 512


def draw(vocab: int, rows: int, columns: int) -> list[list[int]]:
    return torch.randint(1, vocab, (rows, columns), generator=torch.Generator().manual_seed(1)).tolist()


def library(thinker, prompts: list[list[int]], new: int) -> int:
    ids = torch.tensor(prompts)
    mask = torch.ones_like(ids)
    out = thinker.model.generate(
        ids, attention_mask=mask, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0
    )
    return out[:, ids.shape[1] :].numel()


def ours(thinker, rows, sampling, **options) -> int:
    """Tokens sampled. Silent steps are not, but a `</think>` that a random model writes once more is."""
    done = thinker.complete(rows, sampling, **options)
    return sum(len(c.ids) for c in done)


def same_length(thinker, vocab: int, rows: int, contender: str):
    from tacit.engine.sampling import Sampling
    from tacit.layout import Layout, Segment

    prompts = draw(vocab, rows, PROMPT)
    if contender == "library":
        return lambda: library(thinker, prompts, NEW)
    layouts = [Layout(Segment("question", p), *thinker.vocab.thought(LATENTS)) for p in prompts]
    return lambda: ours(thinker, layouts, Sampling(max_tokens=NEW, logprobs=False))


def mixed(thinker, vocab: int, contender: str):
    """64 prompts that want 4 to 64 tokens, 16 rows in flight. The library's batch runs until its longest row is done."""
    from tacit.engine.sampling import Sampling
    from tacit.layout import Layout, Segment

    prompts = draw(vocab, 64, PROMPT)
    lengths = torch.randint(4, 65, (64,), generator=torch.Generator().manual_seed(2)).tolist()
    if contender == "library":
        batches = [(prompts[i : i + 16], max(lengths[i : i + 16])) for i in range(0, 64, 16)]
        return lambda: sum(library(thinker, p, n) for p, n in batches)
    layouts = [Layout(Segment("question", p)) for p in prompts]
    wishes = [Sampling(max_tokens=n, logprobs=False) for n in lengths]
    return lambda: ours(thinker, layouts, wishes, slots=16)


def prefill(thinker, vocab: int, contender: str):
    """One token each for 16 samples of one long prompt, against 16 such prompts that have nothing in common."""
    from tacit.engine.sampling import Sampling
    from tacit.layout import Layout, Segment

    prompts = draw(vocab, 16, LONG)
    rows = [Layout(Segment("question", prompts[0] if contender == "ours" else p)) for p in prompts]
    return lambda: ours(thinker, rows, Sampling(max_tokens=1, logprobs=False))


def shared_prefix(thinker, vocab: int, contender: str):
    """64 new tokens for 16 rows behind a 512-token prefix that they share, then 16 tokens of their own."""
    from tacit.engine import prompts as reader
    from tacit.engine.sampling import Sampling
    from tacit.layout import Layout, Segment

    if contender == "apart":
        reader.SHARED = 1 << 30
    prefix = draw(vocab, 1, LONG)[0]
    rows = [Layout(Segment("question", prefix + own)) for own in draw(vocab, 16, 16)]
    return lambda: ours(thinker, rows, Sampling(max_tokens=64, logprobs=False))


def one(size: str, contender: str) -> dict[str, float]:
    kind, vocab, *rows = size.split()
    thinker = build(int(vocab)).eval()
    step = {
        "same": lambda: same_length(thinker, int(vocab), int(rows[0]), contender),
        "mixed": lambda: mixed(thinker, int(vocab), contender),
        "prefill": lambda: prefill(thinker, int(vocab), contender),
        "prefix": lambda: shared_prefix(thinker, int(vocab), contender),
    }[kind]()
    sampled = step()
    return timed(step, warmup=0, steps=5) | {"tokens": sampled}


def report(rounds: int = 3) -> list[dict]:
    here = str(Path(__file__).resolve())
    out = []
    for vocab in (512, 50257):
        for rows in (1, 8, 64):
            found = compare(here, f"same {vocab} {rows}", ["ours", "library"], rounds)
            mine, floor = (found[name]["tokens"] / found[name]["cpu"] for name in ("ours", "library"))
            out.append(
                row(
                    "6 latents + 24 tokens / generate", f"V{vocab} B{rows}", mine, floor, "tokens/cpu s", 1.0, more=True
                )
            )
    speeds = (
        ("mixed 512", "library", "mixed lengths, 16 slots", "V512, 64 prompts", 1.4),
        ("prefill 512", "apart", "prefill of 16 samples, 1 prompt", "V512, 512 tokens", 10.0),
        ("prefix 512", "apart", "shared prefix of 512, 16 rows", "V512, 64 new tokens", 2.2),
    )
    for size, against, name, shown, goal in speeds:
        found = compare(here, size, ["ours", against], rounds)
        mine, floor = (1 / found[who]["cpu"] for who in ("ours", against))
        out.append(row(name, shown, mine, floor, "1/cpu s", goal, more=True))
    return out


if __name__ == "__main__":
    main(__doc__, report, one)
