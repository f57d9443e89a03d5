"""`python -m pointsman.crdgen [--check] [--root DIR]`"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pointsman.crdgen.files import generated
from pointsman.crdgen.structural import Refused


def main() -> int:
    """Writes the generated files, or says which are stale (exit 1)."""
    parser = argparse.ArgumentParser(prog="pointsman.crdgen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository's root (default: here)")
    options = parser.parse_args()
    try:
        stale = {path: text for path, text in generated().items() if _read(options.root / path) != text}
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return 2
    for path, text in stale.items():
        print(f"{'stale' if options.check else 'written'}: {path}")
        if not options.check:
            (options.root / path).parent.mkdir(parents=True, exist_ok=True)
            (options.root / path).write_text(text, encoding="utf-8")
    return 1 if options.check and stale else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
