"""Notices that files changed, by asking for their status: no other way also sees what a kubelet does.

A kubelet replaces a volume's files by swapping a symbolic link, editors rename a new file over the old one,
and some write in place: the status of what a path leads to differs after each. Knows nothing of contents.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

PERIOD_SECONDS: Final = 0.5
"""How often to ask."""

_Signature = tuple[tuple[int, int, int, int] | None, ...]


class Watch:
    """Some files that are read together. What they hold now counts as known."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(paths)
        self._known = self._seen = self._look()

    def changed(self) -> bool:
        """Whether they changed, once they have stood still for a round: whoever writes may not be done.

        True once for each change. It also gives a file's time room to differ from that of the next write.
        """
        now = self._look()
        settled, self._seen = now == self._seen, now
        if not settled or now == self._known:
            return False
        self._known = now
        return True

    def _look(self) -> _Signature:
        return tuple(_signature(path) for path in self._paths)


def _signature(path: str) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
