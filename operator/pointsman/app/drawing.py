"""Lines for a terminal: pieces of text with a tone, as plain text or with ANSI's colours.

Knows nothing of what is drawn. Piped output has no escape sequences, and where the terminal isn't one of
UTF-8, marks become ASCII.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class Tone(Enum):
    """How a piece is shown, as ANSI's parameters."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    GOOD = "32"
    BAD = "31"
    WARN = "33"
    NOW = "36"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text in one tone."""

    text: str
    tone: Tone = Tone.PLAIN


Line = tuple[Piece, ...]
_ASCII = str.maketrans(
    {
        "✓": "+",
        "✗": "x",
        "▶": ">",
        "·": ".",
        "█": "#",
        "░": "-",
        "…": "~",
        "×": "x",
        "→": ">",
        "“": '"',
        "”": '"',
    }
)


def line(*pieces: Piece | str) -> Line:
    """A line; a bare text is a plain piece."""
    return tuple(piece if isinstance(piece, Piece) else Piece(piece) for piece in pieces)


def rendered(lines: Iterable[Line], *, colour: bool, width: int = 0, ascii_only: bool = False) -> str:
    """The lines as text, each at most `width` columns (0: as long as they are)."""
    return "".join(f"{_one(_cut(one, width), colour, ascii_only)}\n" for one in lines)


def _one(pieces: Line, colour: bool, ascii_only: bool) -> str:
    parts = []
    for piece in pieces:
        text = piece.text.translate(_ASCII) if ascii_only else piece.text
        toned = colour and piece.tone is not Tone.PLAIN and text.strip()
        parts.append(f"\x1b[{piece.tone.value}m{text}\x1b[0m" if toned else text)
    return "".join(parts) if colour else "".join(parts).rstrip()


def _cut(pieces: Line, width: int) -> Line:
    """The line without what a terminal would wrap: a redrawn screen counts its lines."""
    if not width or sum(columns(piece.text) for piece in pieces) <= width:
        return pieces
    left, kept = width - 1, []
    for piece in pieces:
        text = _fitting(piece.text, left)
        kept.append(Piece(text, piece.tone))
        left -= columns(text)
        if text != piece.text:
            break
    return (*kept, Piece("…"))


def _fitting(text: str, width: int) -> str:
    while columns(text) > width:
        text = text[: max(width, len(text) - 1) if width < len(text) - 1 else len(text) - 1]
    return text


def columns(text: str) -> int:
    """How many columns a terminal needs for it."""
    return sum(
        0 if unicodedata.combining(mark) else 1 + (unicodedata.east_asian_width(mark) in "WF")
        for mark in text
    )


def clean(text: str) -> str:
    """Somebody else's words without what a terminal would take for an order."""
    return "".join(mark if mark.isprintable() else " " for mark in text)


def table(rows: Sequence[Sequence[Piece]], right: frozenset[int] = frozenset()) -> list[Line]:
    """Rows in columns as wide as their widest piece; the columns in `right` are set to the right."""
    if not rows:
        return []
    wide = [max(columns(row[at].text) for row in rows) for at in range(len(rows[0]))]
    found = []
    for row in rows:
        pieces = [Piece("  ")]
        for at, piece in enumerate(row):
            pad = " " * (wide[at] - columns(piece.text))
            text = pad + piece.text if at in right else piece.text + pad
            pieces += [Piece(text, piece.tone), Piece("  ")]
        found.append(tuple(pieces[:-1]))
    return found
