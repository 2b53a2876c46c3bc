"""`index.md` of a folder of results: every claim with its verdict, and every measured ratio that has a goal."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tacit.study.page import Page, pages
from tacit.whole import write_whole

INDEX = "index.md"


def write_index(folder: Path) -> Path:
    """Made from the JSON files below the folder alone."""
    lines = ["# Results", ""]
    lines += _claims(folder, list(pages(folder)))
    measured = list(_measured(folder))
    if measured:
        lines += ["", "Benchmarks: each figure is a ratio to a floor that was measured in the same run.", ""]
        lines += ["| benchmark | of | at | ratio | goal | |", "|---|---|---|---|---|---|", *measured]
    file = folder / INDEX
    write_whole(file, "\n".join(lines) + "\n")
    return file


def _claims(folder: Path, found: list[tuple[Path, Page]]) -> list[str]:
    if not found:
        return []
    lines = ["| claim | scale | runs | verdict | found |", "|---|---|---|---|---|"]
    for file, page in found:
        at = file.relative_to(folder).with_suffix(".md").as_posix()
        cells = (f"[{page['claim']}]({at})", page["scale"], len(page["runs"]), page["verdict"], page["sentence"])
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return lines


def _measured(folder: Path) -> Iterator[str]:
    for file in sorted(folder.glob("bench-*.json")):
        rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        for row in rows:
            if "goal" in row:
                more = row["met"] == (row["ratio"] >= row["goal"])
                goal = f"{'≥' if more else '≤'} {row['goal']:g}"
                met = "met" if row["met"] else "**missed**"
                name = f"[{file.stem.removeprefix('bench-')}]({file.name})"
                cells = (name, row["name"], row["size"], f"{row['ratio']:.3g}", goal, met)
                yield f"| {' | '.join(cells)} |"
