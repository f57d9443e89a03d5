"""Events on our objects: what happened, said once.

Written on transitions, never per pass; the same words about the same object aren't repeated within ten
minutes. Best effort: an event that can't be written costs nobody a pass.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pointsman.api.names import EVENT
from pointsman.core.decision import Note
from pointsman.engine.clock import Now
from pointsman.kube.protocol import Kube, KubeError, Object

WINDOW = timedelta(minutes=10)
NOTE_LIMIT = 1024
"""Bytes of a note that the API takes."""

logger = logging.getLogger(__name__)


SUMMARIES = frozenset({"Ready", "Available", "Stalled"})
"""Conditions whose changes are told. The single facts behind them are in Ready's reason and message."""


class Recorder:
    """Writes notes about objects as events.k8s.io/v1. `instance` names this process (the pod's name)."""

    def __init__(self, kube: Kube, *, now: Now, instance: str, limit: int = 10_000) -> None:
        self._kube = kube
        self._now = now
        self._instance = instance[:128] or "pointsman"
        self._limit = limit
        self._told: dict[tuple[str, ...], datetime] = {}

    async def transitions(
        self, before: Mapping[str, Any], after: Mapping[str, Any], notes: Sequence[Note] = ()
    ) -> None:
        """Records what changed between two states of an object's conditions, and `notes`. Never raises."""
        await self.record(after, [*changes(before, after), *notes])

    async def record(self, regarding: Mapping[str, Any], notes: Sequence[Note]) -> None:
        """Records each note about the object (with its apiVersion, kind and metadata). Never raises."""
        for note in notes:
            try:
                await self._record(regarding, note)
            except KubeError as error:
                logger.debug("an event was lost", extra={"reason": note.reason, "error": error.message})

    async def _record(self, regarding: Mapping[str, Any], note: Note) -> None:
        metadata, now = regarding["metadata"], self._now()
        key = (metadata.get("uid", ""), metadata["namespace"], metadata["name"], note.reason, note.message)
        last = self._told.get(key)
        if last is not None and now - last < WINDOW:
            return
        self._told.pop(key, None)
        self._told[key] = now
        while len(self._told) > self._limit:
            del self._told[next(iter(self._told))]
        await self._kube.create(self._event(regarding, note, _event_name(metadata["name"], key, now), now))

    def _event(self, regarding: Mapping[str, Any], note: Note, name: str, now: datetime) -> Object:
        metadata = regarding["metadata"]
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                **({"uid": metadata["uid"]} if metadata.get("uid") else {}),
            },
            "type": "Warning" if note.warning else "Normal",
            "reason": note.reason,
            "action": "Reconcile",
            "note": note.message.encode()[:NOTE_LIMIT].decode(errors="ignore"),
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": "pointsman.dev/operator",
            "reportingInstance": self._instance,
        }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Note]:
    """The summary conditions that have another status or reason than before, as notes."""
    old, new = _conditions(before), _conditions(after)
    return [
        Note(condition["reason"], f"{name}: {condition.get('message', '')}", _is_bad(name, condition, old))
        for name, condition in sorted(new.items())
        if name in SUMMARIES
        and condition["status"] != "Unknown"
        and _face(condition) != _face(old.get(name, {}))
        # Not yet available and not stalled is how everything begins; it's news only when it was otherwise.
        and not (name != "Ready" and condition["status"] == "False" and not _was(old, name, "True"))
    ]


def _is_bad(name: str, condition: Mapping[str, Any], old: Mapping[str, Mapping[str, Any]]) -> bool:
    if name == "Stalled":
        return bool(condition["status"] == "True")
    # Ready may be False because of work that goes well; it's worth a warning when users lose something.
    return bool(condition["status"] == "False") and name == "Available" and _was(old, name, "True")


def _was(old: Mapping[str, Mapping[str, Any]], name: str, status: str) -> bool:
    return bool(old.get(name, {}).get("status") == status)


def _face(condition: Mapping[str, Any]) -> tuple[Any, Any]:
    return condition.get("status"), condition.get("reason")


def _conditions(obj: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    listed = (obj.get("status") or {}).get("conditions") or []
    return {condition["type"]: condition for condition in listed}


def _event_name(name: str, key: tuple[str, ...], now: datetime) -> str:
    """A name of its own for each event, by whom it's about, what it says and when: the same words a window
    later are another one. Nothing hangs on it beyond that, since one that can't be written is lost."""
    text = "\0".join((*key, now.isoformat()))
    return f"{name}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
