"""How exact, in numbers: `python -m tests.exactness.table` prints the largest differences from the oracle, by family."""

import torch

from tacit.batch import Batch
from tests.exactness.tiny import FAMILIES, VOCAB, gradients, naive_loss, rows, thinker


def main() -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    print("| family | loss, cached | gradients, cached | loss, recompute | gradients, recompute | largest gradient |")
    print("|---|---|---|---|---|---|")
    for family in FAMILIES:
        found, size = [], 0.0
        for schedule in ("cached", "recompute"):
            model = thinker(family)
            theirs = naive_loss(model, rows())
            ours = model.loss(Batch.of(rows(), VOCAB), schedule=schedule)
            mine, reference = gradients(model, ours), gradients(model, theirs)
            gap = max(float((mine[name] - reference[name]).abs().max()) for name in reference)
            size = max(float(g.abs().max()) for g in reference.values())
            found += [f"{abs(float((ours - theirs).detach())):.1e}", f"{gap:.1e}"]
        print(f"| {family} | {' | '.join(found)} | {size:.1f} |", flush=True)


if __name__ == "__main__":
    main()
