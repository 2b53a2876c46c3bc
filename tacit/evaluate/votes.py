"""Several answers to a question: how often one of them is right, how often most of them are, how often any is."""

import math
from collections import Counter
from collections.abc import Sequence

Answers = Sequence[tuple[str | None, bool]]
"""What was extracted from each sample of a question, and whether it is right."""


def majority(answers: Answers) -> bool:
    """Whether the answer that is given most often is right; of several, the one that came first. No answer has no vote."""
    votes = Counter(found for found, _ in answers if found is not None)
    if not votes:
        return False
    winner = votes.most_common(1)[0][0]
    return next(right for found, right in answers if found == winner)


def at_least_one(answers: Answers, of: int) -> float:
    """The chance that one of `of` samples, drawn from these without putting them back, is right: unbiased for new samples."""
    wrong, n = sum(not right for _, right in answers), len(answers)
    return 1.0 - math.comb(wrong, of) / math.comb(n, of)


def votes(questions: Sequence[Answers]) -> dict[str, float]:
    """maj@k of as many samples as every question has, and pass@k of powers of two up to it; nothing of one sample."""
    samples = min(map(len, questions))
    if samples < 2:
        return {}
    ks = sorted({1 << n for n in range(1, samples.bit_length())} | {samples})
    told = {f"maj@{samples}": _mean([float(majority(one)) for one in questions])}
    return told | {f"pass@{k}": _mean([at_least_one(one, k) for one in questions]) for k in ks if k <= samples}


def scores(questions: Sequence[Answers]) -> dict[str, float]:
    """Accuracy, majority and at-least-one of a model, over all its questions."""
    return {"accuracy": _mean([sum(right for _, right in one) / len(one) for one in questions])} | votes(questions)


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)
