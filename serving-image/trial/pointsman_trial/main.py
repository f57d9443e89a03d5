"""The command line: `pointsman-trial FILE`. Exits with 0 where it could judge, whatever the judgement.

The answer is the container's termination message: a result, or why there is none.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pointsman_trial import equivalence, gate, suite
from pointsman_trial.answers import Panel
from pointsman_trial.asking import Asker, CannotJudge
from pointsman_trial.bounded import shorten
from pointsman_trial.document import Document, parse
from pointsman_trial.result import Result, encoded, write
from pointsman_trial.strict import DocumentError

CANNOT_JUDGE, INVALID = 1, 2
"""Exit statuses: worth another try, and never."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a trial and exits with its status."""
    parsed = _parser().parse_args(argv)
    # The first process of a container is told to end by nothing that it doesn't listen for.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    code = run(parsed.document, _termination_log())
    sys.stdout.flush()
    # Questions that are still in flight must not hold up an end that is decided.
    os._exit(code)


def run(path: Path, log: Path) -> int:
    """Judges by a document and reports; returns the exit status."""
    try:
        document = parse(path.read_bytes())
    except (OSError, DocumentError) as error:
        return _report(log, {"reason": "DocumentInvalid", "message": shorten(str(error), 1000)}, INVALID)
    try:
        found = judge(document).document()
    except CannotJudge as problem:
        return _report(log, {"reason": problem.reason, "message": problem.message}, CANNOT_JUDGE)
    return _report(log, found, 0)


def judge(document: Document) -> Result:
    """All that a document asks for. What is cheapest to say no comes first, but each has its say.

    Raises CannotJudge.
    """
    patience = document.patience
    asker = Asker(patience.deadline_seconds, patience.request_seconds, patience.tries)
    gated = gate.run(document.gate, asker) if document.gate else None
    if document.target is None:
        return Result(gate=gated)
    panel = Panel(asker, document.target)
    asked, alike = document.suite, document.equivalence
    return Result(
        suite=suite.run(asked, panel, asker, patience.at_once) if asked else None,
        equivalence=equivalence.run(alike, panel, asker, patience.at_once) if alike else None,
        gate=gated,
    )


def _report(log: Path, found: dict[str, Any], code: int) -> int:
    write(log, found)
    print(encoded(found).decode(), flush=True)
    return code


def _termination_log() -> Path:
    return Path(os.environ.get("POINTSMAN_TERMINATION_LOG") or "/dev/termination-log")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pointsman-trial", description="Tests a candidate before it gets any traffic."
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.add_argument("document", type=Path, help="what to ask and what must be so, in JSON")
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("pointsman")
    except importlib.metadata.PackageNotFoundError:
        return os.environ.get("POINTSMAN_VERSION", "unknown")  # images hold the package alone
