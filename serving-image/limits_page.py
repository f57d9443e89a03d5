"""Writes the table of docs/reference/router-limits.md: every setting of the request path.

So that no limit is undocumented and none is described otherwise than it is: names, meanings, defaults, bounds
and consequences are the router's own. `make crds` writes the table, `make check` compares.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any

from pointsman_router import settings
from pointsman_router.settings import Cors, Limits, Routing, bounds_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/reference/router-limits.md"
BEGIN = "<!-- table: made by `make crds` -->\n"
END = "<!-- end of table -->\n"
MIB = settings.MIB
KIB = settings.KIB


def rows() -> Iterator[str]:
    """One line of the table for each setting."""
    yield "| setting | it means | default | bounds | beyond it |"
    yield "|---|---|---|---|---|"
    yield from _rows(Limits(), "limits")
    yield from _rows(Cors(), "cors")
    yield from _rows(Routing(), "routing")


def document() -> str:
    """The whole page: its text as it is, with the table between the marks."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n".join(rows()) + "\n" + END + after


def _rows(values: Any, path: str) -> Iterator[str]:
    meanings = _meanings(type(values))
    for spec in fields(values):
        value, where = getattr(values, spec.name), f"{path}.{_camel(spec.name)}"
        if is_dataclass(value):
            yield from _rows(value, where)
            continue
        bounds = bounds_of(spec)
        size = "bytes" in spec.name
        if isinstance(value, Enum):
            span = ", ".join(f"`{one.value}`" for one in type(value))
        else:
            span = f"{_shown(bounds.low, size)} – {_shown(bounds.high, size)}" if bounds else ""
        beyond = bounds.beyond if bounds else ""
        yield f"| `{where}` | {meanings[spec.name]} | {_shown(value, size)} | {span} | {beyond} |"


def _meanings(kind: type) -> dict[str, str]:
    """What is written under each field of a settings class."""
    tree = ast.parse(Path(settings.__file__).read_text())
    own = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    found = {}
    for node, after in pairwise(own.body):
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr):
            found[ast.unparse(node.target)] = " ".join(ast.literal_eval(after.value).split())
    return found


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _shown(value: object, size: bool) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        if size and value >= MIB and value % MIB == 0:
            return f"{value / MIB:g} MiB"
        if size and value >= KIB and value % KIB == 0:
            return f"{value / KIB:g} KiB"
        return f"{value:,.10g}"
    return "none"


def main() -> int:
    """Command line: `limits_page.py [--check]`."""
    text = document()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text)
        return 0
    if PAGE.read_text() == text:
        return 0
    print(f"{PAGE.relative_to(ROOT)} is not what the router's settings say; run `make crds`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
