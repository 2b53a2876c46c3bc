"""What an inference looks like, gathered row by row."""

from collections.abc import Iterable, Mapping
from typing import Any


class Statistics:
    """Chunks, how many were left out, how many candidates were valid, how many of them counted, and what choosing gained."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()):
        self.chunks = self.asked = self.taken = self.candidates = self.valid = self.wordless = 0
        self.flops = self.effective = self.gain = self.bound = 0.0
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """One more document, as `rows_of` tells it."""
        for chunk in row.get("chunks", [row]):
            self.chunks += 1
            if not chunk["candidates"]:
                continue
            self.asked += 1
            self.candidates += chunk["candidates"]
            self.valid += chunk["valid"]
            self.flops += chunk["flops"]
            if "log_weight" in chunk:
                self.taken += 1
                self.wordless += not "".join((chunk.get("thought", ""), *chunk.get("steps", ()))).strip()
                self.effective += chunk["effective"]
                self.gain += chunk["log_weight"] - chunk["mean_log_weight"]
                self.bound += chunk["bound"]

    def numbers(self) -> dict[str, float]:
        """Sums of chunks, shares of candidates, and means of chunks that have a thought."""
        found = {
            "chunks": float(self.chunks),
            "too_long": float(self.chunks - self.asked),
            "without_thought": float(self.asked - self.taken),
            # Tokens that are no text: whoever reads them with another tokenizer reads nothing.
            "without_words": float(self.wordless),
            "flops": self.flops,
        }
        if self.candidates:
            found["valid"] = self.valid / self.candidates
        if self.taken:
            found |= {
                "effective": self.effective / self.taken,
                "gain": self.gain / self.taken,
                "bound": self.bound / self.taken,
            }
        return found
