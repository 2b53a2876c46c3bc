"""How likely held-out documents are, as plain text: there is nothing to ask about them and nothing to grade."""

import math
from collections.abc import Sequence

from tacit.errors import DataError
from tacit.evaluate.ranks import gathered, share
from tacit.evaluate.reading import read
from tacit.example import Example, Template, encode
from tacit.layout import Layout, Segment
from tacit.methods.base import question

Told = tuple[float, int, int]
"""Of a document: its negative log-likelihood, its tokens and its characters."""


def evaluate_documents(thinker, template: Template, examples: Sequence[Example], batch: int) -> dict[str, float]:
    """Negative log-likelihood without any marks or thoughts: of a document, a token, a character (means over documents), and
    perplexity over all tokens. A document is read as far as the model has positions. In a process group every process takes a
    part, and all get the same numbers."""
    if not examples:
        raise DataError("there are no documents to evaluate: raise the limit, or name another split or file")
    limit = thinker.door.limit
    mine = share(list(enumerate(examples)))
    rows, layouts = encode([one for _, one in mine], thinker.tokenizer, template.filled(thinker.tokenizer)), []
    for row in rows:
        opening = question(row)
        ids = row.answer if limit is None else row.answer[: limit - len(opening.ids)]
        # The first token of a text that nothing opens cannot be predicted.
        layouts.append(Layout(opening, Segment("answer", ids, 1.0)))
    found = read(thinker, layouts, layouts, batch)  # nothing is left to be written
    told: list[Told] = [
        (one.nll, one.learned, len(thinker.tokenizer.decode(layout.segments[-1].ids)))
        for one, layout in zip(found, layouts)
        if one is not None and one.learned
    ]
    everyone = [one for part in gathered(told) for one in part]
    if not everyone:
        raise DataError("no document has a token that could be predicted")
    return {
        "ppl": _perplexity(math.fsum(nll for nll, _, _ in everyone) / sum(tokens for _, tokens, _ in everyone)),
        "nll": _mean([nll for nll, _, _ in everyone]),
        "nll_per_token": _mean([nll / tokens for nll, tokens, _ in everyone]),
        "nll_per_character": _mean([nll / characters for nll, _, characters in everyone]),
        "documents": float(len(everyone)),
    }


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def _perplexity(loss: float) -> float:
    return math.exp(loss) if loss < 700 else math.inf
