"""From an HTTP status and the API's `Status` object to one of our errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.kube.protocol import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Retryable,
)


def failure_of(verb: str, code: int, status: Mapping[str, Any], message: str, retry_after: str) -> KubeError:
    """The error for an answer with `code` >= 400; `status` is the parsed body, empty when there was none."""
    if code == 404:
        return NotFound(message)
    if code == 409:
        return AlreadyExists(message) if status.get("reason") == "AlreadyExists" else Conflict(message)
    if code in (401, 403):
        return Forbidden(message)
    if code == 422 and verb == "apply" and "metadata.uid" in _fields(status):
        # A uid in an apply is a precondition; the server calls it a change of an immutable field.
        return Conflict(message)
    if code in (408, 410, 429) or code >= 500:
        return Retryable(message, _seconds(status, retry_after))
    return Invalid(message)


def causes_of(status: Mapping[str, Any]) -> set[str]:
    """The reasons in the details of a `Status`."""
    causes = (status.get("details") or {}).get("causes") or []
    return {str(cause.get("reason", "")) for cause in causes}


def _fields(status: Mapping[str, Any]) -> set[str]:
    causes = (status.get("details") or {}).get("causes") or []
    return {str(cause.get("field", "")) for cause in causes}


def _seconds(status: Mapping[str, Any], header: str) -> float:
    asked = (status.get("details") or {}).get("retryAfterSeconds") or 0
    return float(max(asked, int(header) if header.isdecimal() else 0))
