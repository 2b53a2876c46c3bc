"""Answers in groups: GPT-2, 4 layers of 256, a prompt of 64 tokens, 16 answers to it of 16 new tokens each.

Floors, in the same run: 16 prompts that have nothing in common, read by the same engine; the library's `generate` on a batch of
16 copies; and for learning, the answers as 16 rows of their own. Behind them, a chain of 8 silent steps with an answer behind
each, against answers that take 8 silent steps one by one.
"""

from pathlib import Path

import torch

from benchmarks.coconut import build
from benchmarks.generate import draw
from benchmarks.harness import compare, main, row, timed

PROMPT, ANSWERS, NEW, MOST = 64, 16, 16, 8


def rows_of(vocab: int, apart: bool):
    from tacit.layout import Layout, Segment

    prompts = draw(vocab, ANSWERS, PROMPT)
    return [Layout(Segment("question", prompt if apart else prompts[0])) for prompt in prompts]


def answered(thinker, vocab: int, contender: str, new: int):
    """Every answer is as long as it may be: nothing ends it before, and nothing in it is silent."""
    from tacit.engine.sampling import Sampling

    rows = rows_of(vocab, contender == "apart")
    banned = (thinker.vocab.open, thinker.vocab.latent, thinker.vocab.close)
    sampling = Sampling(max_tokens=new, temperature=1.0, banned=banned)
    if contender != "library":
        return lambda: thinker.complete(rows, sampling)
    ids = torch.tensor([layout.ids for layout in rows])
    mask = torch.ones_like(ids)
    options = {"max_new_tokens": new, "min_new_tokens": new, "do_sample": True, "top_k": 0, "pad_token_id": 0}
    return lambda: thinker.model.generate(ids, attention_mask=mask, **options)


def learned(thinker, vocab: int, contender: str):
    """Log-probabilities of 16 answers, and their gradient."""
    from tacit.engine.sampling import Sampling
    from tacit.rl import actions
    from tacit.rl.answers import sampled

    if contender == "apart":
        actions.SHARED = 0
    [group] = sampled(thinker, rows_of(vocab, False)[:1], ANSWERS, [Sampling(max_tokens=NEW, temperature=1.0)], [0])
    rows = actions.rows_of(group, [1.0] * ANSWERS, ANSWERS, thinker.vocab, MOST)
    acted = actions.Actions.of([rows], thinker, {})

    def step() -> None:
        acted.choices(thinker, 1.0)[0].sum().backward()
        thinker.zero_grad(set_to_none=True)

    return step


def thought(thinker, vocab: int, contender: str):
    """An answer of one token behind each of 0 to 8 silent steps, for 16 questions: along one chain, or each on its own."""
    from tacit.engine.sampling import Sampling
    from tacit.layout import Layout, Segment
    from tacit.rl.answers import branched

    thinker.thinking = thinker.thinking.model_copy(update={"confine": True, "max_latents": MOST})
    marker = Segment("open", (thinker.vocab.open,))
    prompts = [layout + Layout(marker) for layout in rows_of(vocab, True)]
    sampling = Sampling(max_tokens=1, temperature=1.0)
    if contender == "ours":
        return lambda: branched(thinker, prompts, 1, [sampling] * len(prompts), range(0, 1000 * len(prompts), 1000))
    rows = [
        Layout(prompt.segments[0], *thinker.vocab.thought(count)) for prompt in prompts for count in range(MOST + 1)
    ]
    return lambda: thinker.complete(rows, sampling)


def one(size: str, contender: str) -> dict[str, float]:
    kind, vocab = size.split()
    thinker = build(int(vocab)).eval()
    step = {
        "prefill": lambda: answered(thinker, int(vocab), contender, 1),
        "rollout": lambda: answered(thinker, int(vocab), contender, NEW),
        "learned": lambda: learned(thinker, int(vocab), contender),
        "thought": lambda: thought(thinker, int(vocab), contender),
    }[kind]()
    return timed(step, warmup=2, steps=9)


RATIOS = (
    ("prefill", "apart", "prefill of 16 answers / 16 prompts", 10.0),
    ("rollout", "library", "16 rollouts / a batch of 16 copies", 2.0),
    ("rollout", "apart", "16 rollouts / 16 prompts, our engine", None),
    ("learned", "apart", "learning from 16 / from 16 rows", None),
    ("thought", "apart", "every length, one chain / 9 chains", None),
)


def report(rounds: int = 3) -> list[dict]:
    here = str(Path(__file__).resolve())
    out = []
    for vocab in (512, 50257):
        for kind, against, name, goal in RATIOS:
            found = compare(here, f"{kind} {vocab}", ["ours", against], rounds)
            mine, floor = (1 / found[who]["cpu"] for who in ("ours", against))
            # The goals are set where the head costs little: what is shared is the reading, not the writing.
            out.append(row(name, f"V{vocab}", mine, floor, "1/cpu s", goal if vocab == 512 else None, more=True))
    return out


if __name__ == "__main__":
    main(__doc__, report, one)
