"""Where lines go: a terminal that is redrawn, or a file or pipe that gets snapshots without escapes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from pointsman.app.drawing import Line, rendered

ABOVE, CLEAR_BELOW = "\x1b[{}A\r", "\x1b[J"


@dataclass(slots=True)
class Screen:
    """Shows one set of lines after the other."""

    out: TextIO
    colour: bool
    redraws: bool
    """Whether the next lines take the place of those before."""
    ascii_only: bool = False
    _shown: int = 0

    def show(self, lines: Sequence[Line]) -> None:
        size = shutil.get_terminal_size()
        if self.redraws:
            lines = lines[: max(size.lines - 1, 1)]
        width = size.columns if self.redraws else 0
        text = rendered(lines, colour=self.colour, width=width, ascii_only=self.ascii_only)
        if self._shown:
            # A snapshot in a log is told from the next one by an empty line.
            text = ABOVE.format(self._shown) + CLEAR_BELOW + text if self.redraws else f"\n{text}"
        self.out.write(text)
        self.out.flush()
        self._shown = len(lines)


def screen(choice: str, *, redraws: bool) -> Screen:
    """Standard output. `choice`: auto, always or never, for colours."""
    out = sys.stdout
    terminal = out.isatty() and os.environ.get("TERM") != "dumb"
    colour = choice == "always" or (choice == "auto" and terminal and not os.environ.get("NO_COLOR"))
    encoding = (out.encoding or "").lower().replace("-", "")
    return Screen(out, colour, redraws and terminal, ascii_only=not encoding.startswith("utf"))
