"""What a model thinks before each token of a text, and what that is worth: the gain in log-probability over no thought at all."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tacit.errors import ModelError
from tacit.evaluate.subject import load_for_eval
from tacit.example import encode
from tacit.methods.quiet import Quiet
from tacit.quiet.measuring import look
from tacit.study.runs import Run

FOLDER, FILE = "probes", "thoughts.json"
BATCH = 32


def probe_thoughts(run: str | Path, *, limit: int = 20) -> tuple[Path, dict[str, Any]]:
    """The thoughts of a run on its first held-out texts, also written to `probes/thoughts.json`."""
    subject = load_for_eval(run, limit=limit)
    thinker, method = subject.thinker, subject.method
    if not isinstance(method, Quiet):
        raise ModelError(f"{run} does not think before every token; take a run of method quiet")
    encoded = encode(subject.examples, thinker.tokenizer, subject.template)
    texts, by_token = [], {}
    thinker.eval()
    for number, seen in enumerate(look(thinker, method.rule(thinker.vocab, samples=1), encoded, BATCH)):
        rows = encoded[number * BATCH : (number + 1) * BATCH]
        if seen.null is None or seen.thoughts is None:
            raise ModelError(f"{run} has no thoughts (roles.thinks: false), so there is nothing to look at")
        gains = (seen.like[:, 0] - seen.null).tolist()
        for row, ex in enumerate(rows):
            ids = [*ex.question, *ex.answer]
            places = []
            for column, target in enumerate(ids[1:]):
                cell = column * len(rows) + row
                thought = [int(token) for token in seen.thoughts.read[0, cell] if token < thinker.vocabulary]
                places.append(
                    {
                        "token": _word(thinker, [target]),
                        "thought": _word(thinker, thought[:-1]),
                        "gain": round(gains[cell], 4),
                    }
                )
                by_token.setdefault(places[-1]["token"], []).append(gains[cell])
            texts.append({"id": ex.id, "places": places})
    found = {
        "probe": "thoughts",
        "run": str(run),
        "starts": Run(Path(run)).starts(),
        "tokens": {token: {"gain": _mean(values), "n": len(values)} for token, values in sorted(by_token.items())},
        "texts": texts,
    }
    folder = Path(run) / FOLDER
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder / FILE, found


def _word(thinker: Any, ids: Sequence[int]) -> str:
    return thinker.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)
