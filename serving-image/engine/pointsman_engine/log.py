"""The entrypoint's own log lines, among the engine's, on standard output."""

from __future__ import annotations

import sys
import time


def say(message: str) -> None:
    """One line, with a time and a name, so that it stands out from the engine's."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sys.stdout.write(f"{stamp} pointsman-engine: {message}\n")
    sys.stdout.flush()
