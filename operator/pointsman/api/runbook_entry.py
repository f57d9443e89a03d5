"""The form of a paragraph in the runbook."""

from __future__ import annotations

from dataclasses import dataclass

NOTHING = "Nothing is needed."
"""What helps where all goes well."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One reason's paragraph."""

    means: str
    """What was seen."""
    does: str
    """What Pointsman does meanwhile."""
    help: str
    """What a person can do."""
