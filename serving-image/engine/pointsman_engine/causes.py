"""Finds the root cause of a failed start in the engine's log, and says it in plain words.

The last line of vLLM's log says "See root cause above": what matters is the first traceback, and of it the
exception, not the frames. Pure: lines and an exit status in, a StartFailure out.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from pointsman_engine.outcome import Reason, StartFailure, shorten
from pointsman_engine.patterns import PATTERNS, Pattern

_PREFIX = re.compile(
    r"^(?:\(\w+(?: pid=\d+)?\) )?(?:(?:ERROR|WARNING|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^]]+\] ?)?"
)
_EXCEPTION = re.compile(
    r"^(?:[a-z_][\w.]*\.)?([A-Z]\w*(?:Error|Exception|Interrupt|Exit|Failure)|[A-Z]\w+Error\w*)\b:?(.*)$"
)
_WRAPPERS = (
    "See root cause above",
    "Engine process failed to start",
    "EngineCore encountered an issue",
    "EngineDeadError",
)
_PYDANTIC = re.compile(r"^\s+(?:Value error|Assertion failed|Input should), (.*)$")
_LAST_ERROR = "Last error:"
_NOISE = re.compile(r" ?\[type=\w+, input_value=.*$| For further information visit \S+")


@dataclass(frozen=True, slots=True)
class Traceback:
    """One traceback of a log: the exception's text in one line, and the frames it passed."""

    text: str
    frames: str


def explain(lines: Sequence[str], code: int, *, out_of_memory: bool) -> StartFailure:
    """The reason for an engine's end with exit status `code` (negative: killed by that signal).

    `out_of_memory`: the kernel has killed a process of this container for memory.
    """
    if out_of_memory:
        return StartFailure(
            Reason.OUT_OF_MEMORY,
            "the container's memory limit was reached and the kernel ended the engine: raise "
            "hardware.resources.limits.memory, or lower engine.maxModelLen",
        )
    found = tracebacks(lines)
    roots = [t for t in found if not any(wrapper in t.text for wrapper in _WRAPPERS)]
    for root in roots:
        if pattern := _known(root):
            return StartFailure(pattern.reason, f"{pattern.advice} ({shorten(root.text, 600)})")
    # Some causes are printed without a traceback.
    for line in map(plain, lines):
        if _EXCEPTION.match(line) and (pattern := _known(Traceback(line, ""))):
            return StartFailure(pattern.reason, f"{pattern.advice} ({shorten(line, 600)})")
    if roots:
        return StartFailure(Reason.ENGINE_FAILED, f"the engine failed: {shorten(roots[0].text, 800)}")
    return _unexplained(lines, code)


def _known(found: Traceback) -> Pattern | None:
    for pattern in PATTERNS:
        if any(re.search(text, found.text) for text in pattern.texts) and re.search(
            pattern.frames, found.frames
        ):
            return pattern
    return None


def _unexplained(lines: Sequence[str], code: int) -> StartFailure:
    last = next((plain(line).strip() for line in reversed(lines) if line.strip()), "")
    said = f"; its last words: {shorten(last, 600)}" if last else ""
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        reason = Reason.DEVICE_UNAVAILABLE if -code == signal.SIGILL else Reason.ENGINE_FAILED
        return StartFailure(reason, f"the engine was ended by {name}{said}")
    return StartFailure(Reason.ENGINE_FAILED, f"the engine ended by itself with status {code}{said}")


def plain(line: str) -> str:
    """A log line without vLLM's prefixes; indentation stays."""
    return _PREFIX.sub("", line, count=1)


def tracebacks(lines: Sequence[str]) -> list[Traceback]:
    """All tracebacks in the order of the log; in a chain of exceptions the cause comes first."""
    found: list[Traceback] = []
    frames: list[str] | None = None
    cleaned = [plain(line) for line in lines]
    for i, line in enumerate(cleaned):
        if line.startswith("Traceback (most recent call last)"):
            frames = []
        elif frames is not None and _EXCEPTION.match(line):
            found.append(Traceback(_whole(cleaned[i : i + 8]), "\n".join(frames)))
            frames = None
        elif frames is not None:
            frames.append(line)
    return found


def _whole(lines: Sequence[str]) -> str:
    """An exception's text; pydantic's stands on the second line, and may go on for some more. NCCL's own is
    below the words "Last error"."""
    first = lines[0].strip()
    if "NCCL error" in first and _LAST_ERROR in lines[:-1]:
        return f"{first} {lines[lines.index(_LAST_ERROR) + 1].strip()}"
    if "ValidationError" not in first or len(lines) < 2:
        return first
    pydantic = _PYDANTIC.match(lines[1])
    text = [pydantic.group(1) if pydantic else lines[1].strip()]
    for line in lines[2:]:
        if _NOISE.search(text[-1]) or line.startswith("Traceback"):
            break
        text.append(line.strip())
    return _NOISE.sub("", " ".join(text)).strip()
