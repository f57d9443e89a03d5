"""What a situation means to who waits for it, and which words of which tool say so.

This is the definition of agreement: tools agree on a situation when each of their words stands in the column
of the same meaning. Every tool has more words than we have meanings, never fewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Meaning(StrEnum):
    """What who waits for an object should conclude."""

    READY = "ready"
    """This generation is served: go on."""
    WAIT = "wait"
    """Not there yet, and it may well get there without anybody's edit: wait on."""
    FAILED = "failed"
    """Nothing goes on until the object is edited: give up now."""
    LEAVING = "leaving"
    """Being deleted: neither ready nor failed, and it will never be either."""


class Tool(StrEnum):
    """Who reads."""

    KSTATUS = "kstatus"
    FLUX = "Flux"
    ARGO = "Argo CD"
    HELM = "helm --wait"
    WAIT_READY = "wait Ready"
    WAIT_STALLED = "wait Stalled"


_KSTATUS: Final[Mapping[Meaning, frozenset[str]]] = {
    Meaning.READY: frozenset({"Current"}),
    Meaning.WAIT: frozenset({"InProgress"}),
    Meaning.FAILED: frozenset({"Failed"}),
    Meaning.LEAVING: frozenset({"Terminating"}),
}

WORDS: Final[Mapping[Tool, Mapping[Meaning, frozenset[str]]]] = {
    Tool.KSTATUS: _KSTATUS,
    Tool.FLUX: _KSTATUS,
    # Argo CD has no word for what is being deleted, and a second one for what is held back on purpose.
    # Neither lets a sync wave or `argocd app wait --health` go on, and neither counts as a failure.
    Tool.ARGO: {
        Meaning.READY: frozenset({"Healthy"}),
        Meaning.WAIT: frozenset({"Progressing", "Suspended"}),
        Meaning.FAILED: frozenset({"Degraded"}),
        Meaning.LEAVING: frozenset({"Progressing"}),
    },
    # How the action ended, and the status that Helm named when it did not end well.
    Tool.HELM: {
        Meaning.READY: frozenset({"deployed"}),
        Meaning.WAIT: frozenset({"timed out, InProgress"}),
        Meaning.FAILED: frozenset({"gave up, Failed"}),
        Meaning.LEAVING: frozenset({"timed out, Terminating"}),
    },
    Tool.WAIT_READY: {
        Meaning.READY: frozenset({"returns"}),
        Meaning.WAIT: frozenset({"waits"}),
        Meaning.FAILED: frozenset({"waits"}),
        Meaning.LEAVING: frozenset({"waits"}),
    },
    Tool.WAIT_STALLED: {
        Meaning.READY: frozenset({"waits"}),
        Meaning.WAIT: frozenset({"waits"}),
        Meaning.FAILED: frozenset({"returns"}),
        Meaning.LEAVING: frozenset({"waits"}),
    },
}
"""Which words of a tool carry which meaning."""


def agrees(tool: Tool, word: str, meaning: Meaning) -> bool:
    """Whether the tool's word says what the situation means."""
    return word in WORDS[tool][meaning]
