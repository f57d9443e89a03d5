"""Which version this is: the image says so, and where there is none the installed distribution."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version


def current() -> str:
    """The version, or `unknown`."""
    if stamped := os.environ.get("POINTSMAN_VERSION"):
        return stamped
    try:
        return version("pointsman")
    except PackageNotFoundError:
        return "unknown"
