"""Which version this is: the image says so, and where there is none the installed distribution."""

from __future__ import annotations

import os


def current() -> str:
    """The version, or `unknown`."""
    if stamped := os.environ.get("POINTSMAN_VERSION"):
        return stamped
    from importlib.metadata import PackageNotFoundError, version  # takes a while, and images do without

    try:
        return version("pointsman")
    except PackageNotFoundError:
        return "unknown"
