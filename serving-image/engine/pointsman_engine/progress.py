"""How far the loading of weights is, as the engine's own log tells it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SHARDS = re.compile(r"Loading .*checkpoint shards: .*?(\d+)/(\d+) \[")
_LOADED = re.compile(r"Loading weights took")


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
