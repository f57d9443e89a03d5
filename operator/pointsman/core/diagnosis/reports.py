"""Reading what Kubernetes reports of pods: containers, conditions, events, and its words without what ticks.

Messages go into status, which must not change in an unchanged world: names that Kubernetes generated change
with every restart, and ports and digests with every try. What the words mean is not known here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pointsman.api import names
from pointsman.core.world import Manifest

OURS: Mapping[str, str] = {
    names.ENGINE_CONTAINER: "the engine",
    names.RESOLVE_CONTAINER: "the look-up of the model",
    names.ROUTER_CONTAINER: "the router",
    names.TRIAL_CONTAINER: "the trial",
    names.CHECK_CONTAINER: "the check",
}
"""Our containers, and what people call what runs in them."""
TERMINAL = frozenset({"Failed", "Succeeded"})

_TICKING = re.compile(r"\b[0-9a-f]{64}\b|(?<=[\d\]]):\d+(?=->)")
_UNNAMED = re.compile(r'pods "[^"]*" is forbidden')


def containers(pod: Manifest) -> Iterator[Mapping[str, Any]]:
    """The statuses of all its containers; those that admission put before ours can fail too."""
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def who(status: Mapping[str, Any]) -> str:
    """What runs in a container, in words."""
    return OURS.get(str(status.get("name") or ""), "the container")


def waiting(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a container waits for: `reason` and `message`; empty where it doesn't wait."""
    return dict((status.get("state") or {}).get("waiting") or {})


def running_since(status: Mapping[str, Any]) -> datetime | None:
    """When the container that now runs began; None where none runs."""
    return moment(((status.get("state") or {}).get("running") or {}).get("startedAt"))


def last_end(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """How the container ended last: `exitCode`, `reason`, `message`; empty where it never did."""
    for state in ("state", "lastState"):
        ended = (status.get(state) or {}).get("terminated")
        if ended:
            return dict(ended)
    return {}


def spec_of(pod: Manifest, container: str) -> Mapping[str, Any]:
    """What a container was declared as; empty where the pod says nothing of it."""
    declared = (pod.get("spec") or {}).get("containers") or ()
    return next((dict(c) for c in declared if c.get("name") == container), {})


def condition(manifest: Manifest, kind: str) -> Mapping[str, Any]:
    """One condition of an object; empty where it has none of that type."""
    listed: Iterable[Mapping[str, Any]] = (manifest.get("status") or {}).get("conditions") or ()
    return next((dict(c) for c in listed if c.get("type") == kind), {})


def words(manifest: Manifest, kind: str, status: str) -> str:
    """What a condition says while it has a status; empty while it hasn't."""
    found = condition(manifest, kind)
    if found.get("status") != status:
        return ""
    return str(found.get("message") or found.get("reason") or kind)


def phase(pod: Manifest) -> str:
    """Pending, Running, Succeeded or Failed."""
    return str((pod.get("status") or {}).get("phase") or "")


def claims(pod: Manifest) -> list[str]:
    """PersistentVolumeClaims that the pod mounts."""
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    return sorted(
        str(v["persistentVolumeClaim"]["claimName"]) for v in volumes if v.get("persistentVolumeClaim")
    )


def events_of(
    events: Sequence[Manifest], manifest: Manifest, reasons: frozenset[str]
) -> list[tuple[datetime, str, str]]:
    """(last seen, reason, words) of an object's events with one of these reasons, the newest first."""
    uid = manifest["metadata"]["uid"]
    found = [
        (seen, str(event["reason"]), plain(str(event.get("note") or event.get("message") or ""), manifest))
        for event in events
        if event.get("reason") in reasons and _regarding(event) == uid and (seen := _last_seen(event))
    ]
    return sorted(found, reverse=True)


def plain(text: str, manifest: Manifest) -> str:
    """Words about an object without what was generated for it, in one line."""
    metadata = manifest["metadata"]
    for generated in (metadata.get("uid"), metadata.get("name") if manifest.get("kind") == "Pod" else None):
        if generated:
            text = text.replace(str(generated), "…")
    text = _UNNAMED.sub("pods are forbidden", _TICKING.sub("…", text))
    return " ".join(text.split()).rstrip(". ")


def moment(text: object) -> datetime | None:
    """A time as the API server writes it; None for anything else."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None


def document(text: object) -> Mapping[str, Any] | None:
    """The JSON object that a container left as its termination message; None where it left none."""
    try:
        value = json.loads(str(text))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _regarding(event: Manifest) -> str:
    return str((event.get("regarding") or event.get("involvedObject") or {}).get("uid", ""))


def _last_seen(event: Manifest) -> datetime | None:
    """An event that recurs keeps its first time and counts on; each API group has its own field for that."""
    series = event.get("series") or {}
    told = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("deprecatedLastTimestamp"),
        event.get("eventTime"),
        event["metadata"].get("creationTimestamp"),
    )
    return next((found for text in told if text and (found := moment(text))), None)
