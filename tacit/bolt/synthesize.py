"""Thoughts, or documents anew, by a stronger model: planned, worked on by any number of processes, merged.

FOLDER/KIND/             shards
FOLDER/answers/          every answer that was ever paid for
FOLDER/KIND.jsonl        documents in chunks with their thoughts, or documents that were written anew
FOLDER/KIND.json         what it took, and what stayed unanswered
FOLDER/KIND-unanswered.jsonl
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from tacit.bolt.asking import BACKENDS, REFUSED, STYLES, Account, Answer, Answered, Asker, Request, request
from tacit.bolt.chunks import Chunking, cut
from tacit.bolt.lines import Lines
from tacit.bolt.shards import Shard, Shards
from tacit.bolt.synthesis import Kind, Synthesis
from tacit.errors import TacitError
from tacit.lock import alone
from tacit.registry import nearest, resolve
from tacit.whole import whole, write_whole

KINDS = get_args(Kind)
ANSWERS = "answers"
NOTHING = "N/A"
"""What stands before the first chunk."""
REPEAT = 1_000
"""Seeds of a document's repeats are so far apart, with those of the attempts between them."""
Row = dict[str, Any]
Say = Callable[[str], None]


def check_kind(kind: str) -> None:
    """Refuse a kind of synthesis that there is not."""
    if kind not in KINDS:
        raise TacitError(f"there is no synthesis {kind!r}{nearest(kind, KINDS)}. Known: {', '.join(KINDS)}")


def synthesize(
    kind: str, source: Path, folder: Path, settings: Synthesis, chunking: Chunking, say: Say = print
) -> Path:
    """All of it, in this process; what is done already is not done again."""
    plan(kind, source, folder, settings, chunking)
    if not (folder / f"{kind}.json").exists():
        work(kind, folder, settings)
        merge(kind, folder, settings, say)
    return folder / f"{kind}.jsonl"


def plan(kind: str, source: Path, folder: Path, settings: Synthesis, chunking: Chunking) -> Shards:
    """What is to be asked, written down so that any process can take a part."""
    check_kind(kind)
    if kind == "latent_thoughts" and settings.repeats > 1:
        raise TacitError("a chunk has one thought; leave bolt.synthesis.repeats at 1 for latent_thoughts")
    lines = Lines(source)
    about = {
        "kind": kind,
        "source": str(source),
        "bytes": int(lines.starts[-1]),
        # How fast a server is asked, and for how much money, changes nothing of what is asked.
        "settings": settings.model_dump(
            mode="json", exclude={"parallel", "per_minute", "patience", "timeout", "budget"}
        ),
        "chunking": chunking.model_dump(mode="json"),
    }
    shards = Shards(folder / kind)
    shards.plan(len(lines) * settings.repeats, settings.shard, about)
    return shards


def work(kind: str, folder: Path, settings: Synthesis) -> int:
    """Take shards until none is left; says how many were made here. `settings` says how fast, the plan says what."""
    shards = Shards(folder / kind)
    about = shards.about()
    settings = settings.model_copy(update=about["settings"])
    lines, chunking = Lines(about["source"]), Chunking(**about["chunking"])
    backend = resolve(BACKENDS, settings.backend, "backend")(settings)
    asker = Asker(backend, Answered(folder / ANSWERS, settings))

    def make(shard: Shard) -> list[Row]:
        numbers = range(shard.start, shard.stop)
        each = [(number // len(lines), _row(lines, number % len(lines))) for number in numbers]
        if kind == "latent_thoughts":
            return _thoughts([row for _, row in each], asker, settings, chunking)
        return _anew(kind, each, asker, settings)

    return shards.work(make)


def merge(kind: str, folder: Path, settings: Synthesis, say: Say = print) -> Path:
    """All shards as one file, what it took, and what stayed unanswered."""
    Shards(folder / kind).about()
    with alone(folder / kind):
        return _merge(kind, folder, settings, say)


def _merge(kind: str, folder: Path, settings: Synthesis, say: Say) -> Path:
    target, missing = folder / f"{kind}.jsonl", folder / f"{kind}-unanswered.jsonl"
    account, faults = Account(), Counter[str]()
    counts, said = Counter[str](documents=0, answered=0, unanswered=0), ""
    with whole(target) as out, whole(missing) as left:
        for row in Shards(folder / kind).rows():
            spent, failed = row.pop("spent"), row.pop("unanswered")
            account.requests, account.tokens_in, account.tokens_out = (
                old + new
                for old, new in zip((account.requests, account.tokens_in, account.tokens_out), spent, strict=True)
            )
            asked = len(row["chunks"]) if "chunks" in row else 1
            counts.update(answered=asked - len(failed), unanswered=len(failed))
            for one in failed:
                faults[one["fault"]] += 1
                said = said or ": ".join(filter(None, (one["fault"], one.get("reason"))))
                left.write(json.dumps({"id": row["id"], **one}, ensure_ascii=False) + "\n")
            if row["text"]:
                counts.update(documents=1)
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        if not counts["answered"]:  # inside, so that neither file comes to be
            # Refusals are not kept, and all else would be found again under the same seeds.
            other = f" with bolt.synthesis.seed={settings.seed + settings.attempts}" if {*faults} - {REFUSED} else ""
            kept = f"; what was answered is kept in {folder / ANSWERS}, and another seed asks anew" if other else ""
            raise TacitError(
                f"{settings.model} gave no answer to any of {counts['unanswered']} requests that could be used; the first: "
                f"{said}. There is nothing to learn from. Mend that, remove {folder / kind} and give the same "
                f"command{other}{kept}"
            )
    told = {**counts, "faults": dict(faults), **vars(account), "price": round(account.price(settings), 6)}
    write_whole(folder / f"{kind}.json", json.dumps(told, indent=1) + "\n")
    say(", ".join(f"{name} {value}" for name, value in told.items()))
    return target


def _row(lines: Lines, number: int) -> Row:
    return lines.rows(number, number + 1)[0]


def _thoughts(rows: Sequence[Row], asker: Asker, settings: Synthesis, chunking: Chunking) -> list[Row]:
    """Documents in chunks, each with the thought that a model saw behind it."""
    pieces = [cut(row["text"], chunking) for row in rows]
    requests: list[Request] = []
    for chunks in pieces:
        for place, chunk in enumerate(chunks):
            first = 0 if settings.window is None else max(0, place - settings.window)
            before = "".join(chunks[first:place]) or NOTHING
            requests.append(request("latent_thoughts", settings.seed, prefix=before, suffix=chunk))
    attempts = iter(asker.ask(requests))
    found = []
    for row, chunks in zip(rows, pieces):
        tried = [next(attempts) for _ in chunks]
        told = [{"text": chunk, "thought": each[-1].text} for chunk, each in zip(chunks, tried)]
        failed = [{"chunk": n, **_why(each[-1])} for n, each in enumerate(tried) if each[-1].fault]
        found.append({**row, "chunks": told, **_books(tried, failed)})
    return found


def _anew(kind: str, each: Sequence[tuple[int, Row]], asker: Asker, settings: Synthesis) -> list[Row]:
    """Whole documents in other words; one that was not answered has no text."""
    styles = []
    for repeat, row in each:
        rng = np.random.default_rng([settings.seed, repeat, *row["id"].encode()])
        styles.append(STYLES[kind][int(rng.integers(len(STYLES[kind])))])
    asked = [
        request(style, settings.seed + REPEAT * repeat, text=row["text"]) for style, (repeat, row) in zip(styles, each)
    ]
    found = []
    for (repeat, row), style, tried in zip(each, styles, asker.ask(asked)):
        last = tried[-1]
        told = {"id": f"{row['id']}/{repeat}", "text": last.text, "of": row["id"], "style": style, "repeat": repeat}
        found.append({**told, **_books([tried], [_why(last)] if last.fault else [])})
    return found


def _why(answer: Answer) -> Row:
    return {"fault": answer.fault} | ({"reason": answer.reason} if answer.reason else {})


def _books(tried: Sequence[Sequence[Answer]], failed: list[Row]) -> Row:
    account = Account().add(answer for each in tried for answer in each)
    return {"spent": [account.requests, account.tokens_in, account.tokens_out], "unanswered": failed}
