"""The Decision: what one pass wants, as one value. `engine.reconcile` carries it out, in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pointsman.api.names import Key
from pointsman.core.world import Manifest, ObjectKey


@dataclass(frozen=True, slots=True)
class Note:
    """An event to record on the object: something happened that a person may want to know of."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What should be, and what to say about it."""

    desired: Sequence[Manifest] = ()
    """Children that should exist, each with exactly the fields we have an opinion on."""
    retained: frozenset[ObjectKey] = frozenset()
    """Children that stay as they are: neither applied nor deleted (the history, what waits for its turn)."""
    paused: bool = False
    """No effects at all in this pass; status is still written."""
    state: Mapping[str, Any] | None = None
    """`status.rollout`, to be written before any effect when it differs from what status holds."""
    experiment: Mapping[str, Any] | None = None
    """`status.experiment`, written together with `state`; None: there is none."""
    status: Mapping[str, Any] | None = None
    """The whole status; None where there is no object to write it to."""
    finalize: bool | None = None
    """True: our finalizer must stand before any effect. False: it may go, after them. None: neither."""
    notes: Sequence[Note] = ()
    requeue_after: float | None = None
    """Seconds until the next look, when no event can be relied on to bring it."""
    wake: Sequence[Key] = ()
    """Other objects that should look again because of this decision."""
    because: str = ""
    """One line for the log: what this pass is about."""
