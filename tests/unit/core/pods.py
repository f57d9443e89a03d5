"""Short ways to what Kubernetes reports of pods, as the API server has it (words of Kubernetes 1.37)."""

from __future__ import annotations

from typing import Any

NAME = "chat-3f2a9c41-7d9f8b6c5-x2x4z"
UID = "0b9e3c9e-6f0a-4f37-8f6e-0d4a6f6f2b11"
NOW = "2026-01-01T12:00:00Z"


def pod(
    *containers: dict[str, Any],
    name: str = NAME,
    uid: str = UID,
    conditions: tuple[dict[str, Any], ...] = (),
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    """A pod with these container statuses and conditions."""
    return {
        "kind": "Pod",
        "metadata": {"name": name, "uid": uid, "creationTimestamp": "2026-01-01T11:00:00Z"},
        "spec": spec or {},
        "status": {"containerStatuses": list(containers), "conditions": list(conditions), **status},
    }


def container(name: str = "engine", **status: Any) -> dict[str, Any]:
    """A container's status."""
    return {"name": name, "ready": False, "image": "registry.test/engine:1", **status}


def waiting(reason: str, message: str = "", **rest: Any) -> dict[str, Any]:
    """A container that waits."""
    return container(state={"waiting": {"reason": reason, "message": message}}, **rest)


def ended(code: int, message: str = "", reason: str = "Error", **rest: Any) -> dict[str, Any]:
    """A container that ended and runs again."""
    last: dict[str, Any] = {"exitCode": code, "reason": reason, "message": message}
    last |= {key: rest.pop(key) for key in ("startedAt", "finishedAt") if key in rest}
    return container(state={"running": {"startedAt": NOW}}, lastState={"terminated": last}, **rest)


def unplaced(message: str, **rest: Any) -> dict[str, Any]:
    """A pod that the scheduler finds no node for."""
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod(conditions=(scheduled,), phase="Pending", **rest)


def event(reason: str, note: str, uid: str = UID, seen: str = NOW) -> dict[str, Any]:
    """A warning of the core group about a pod."""
    return {
        "kind": "Event",
        "metadata": {"name": f"{reason}.{seen}"},
        "involvedObject": {"kind": "Pod", "uid": uid},
        "type": "Warning",
        "reason": reason,
        "message": note,
        "lastTimestamp": seen,
    }


def deployment(message: str) -> dict[str, Any]:
    """A Deployment whose ReplicaSet can't make pods."""
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    return {
        "kind": "Deployment",
        "metadata": {"name": "chat", "uid": "d"},
        "status": {"conditions": [failure]},
    }


def job(**status: Any) -> dict[str, Any]:
    """A Job."""
    return {"kind": "Job", "metadata": {"name": "chat-resolve", "uid": "j"}, "status": status}
