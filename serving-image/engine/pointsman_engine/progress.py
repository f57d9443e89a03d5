"""How far loading is and how long compiling took, as the engine's own log tells it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SHARDS = re.compile(r"Loading .*checkpoint shards: .*?(\d+)/(\d+) \[")
_LOADED = re.compile(r"Loading weights took")
_COMPILED = re.compile(r"torch\.compile (?:takes|took) ([0-9.]+) s in total|\(compilation: ([0-9.]+) s\)")
_CAPTURED = re.compile(r"Graph capturing finished in ([0-9.]+) secs")


@dataclass(slots=True)
class LoadProgress:
    """Bytes of whole weight files that the engine says it has read; nothing is guessed in between."""

    sizes: Sequence[int]
    loaded: int = 0

    @property
    def total(self) -> int:
        return sum(self.sizes)

    def read(self, line: str) -> int:
        """Takes one line of the log; returns the bytes loaded so far."""
        shards = _SHARDS.search(line)
        if shards and int(shards.group(2)) == len(self.sizes):
            self.loaded = max(self.loaded, sum(self.sizes[: int(shards.group(1))]))
        elif _LOADED.search(line):
            self.loaded = self.total
        return self.loaded


@dataclass(slots=True)
class CompileTime:
    """Seconds that the engine says it compiled and captured graphs. Workers and summaries repeat themselves,
    each with the total so far, so the largest figure of each sort counts."""

    compiled: float = 0.0
    captured: float = 0.0

    @property
    def seconds(self) -> float:
        return self.compiled + self.captured

    def read(self, line: str) -> None:
        """Takes one line of the log."""
        if found := _COMPILED.search(line):
            self.compiled = max(self.compiled, _seconds(found.group(1) or found.group(2)))
        elif found := _CAPTURED.search(line):
            self.captured = max(self.captured, _seconds(found.group(1)))


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0  # dots alone
