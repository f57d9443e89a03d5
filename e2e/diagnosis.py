"""What somebody wants to see when it didn't work: status, pods, warnings, and the ends of the logs.

Never raises: it runs when something is wrong already, and the API server may be what is.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

from e2e import helm
from e2e.cluster import Kubectl
from e2e.conditions import conditions

KINDS = "llmservices,llmrouters,llmmodels,promptversions,promptsuites"
LOG_LINES = 25
PATIENCE_S = 30.0


def report(kubectl: Kubectl, namespace: str) -> str:
    """Everything that may explain a failure in `namespace`, as text."""
    return "\n".join(_lines(kubectl, namespace))


def operator_log(kubectl: Kubectl, lines: int = LOG_LINES) -> str:
    """The end of the operator's log."""
    return _ask(
        kubectl,
        "logs",
        "deployment/pointsman",
        f"--namespace={helm.NAMESPACE}",
        f"--tail={lines}",
    )


def _lines(kubectl: Kubectl, namespace: str) -> Iterator[str]:
    yield f"--- status in {namespace}"
    yield from _statuses(kubectl, namespace)
    yield f"--- pods in {namespace}, and the operator's"
    yield _ask(kubectl, "get", "pods", f"--namespace={namespace}", "--output=wide")
    yield _ask(kubectl, "get", "pods", f"--namespace={helm.NAMESPACE}", "--output=wide")
    yield f"--- warnings in {namespace}"
    events = _ask(
        kubectl, "get", "events", f"--namespace={namespace}", "--field-selector=type=Warning", "--no-headers"
    )
    yield "\n".join(events.splitlines()[-12:])
    for role in ("engine", "router", "resolve"):
        yield f"--- the end of the {role} logs"
        yield _ask(
            kubectl,
            "logs",
            f"--namespace={namespace}",
            f"--selector=pointsman.dev/role={role}",
            "--prefix",
            f"--tail={LOG_LINES}",
            "--ignore-errors",
        )
    yield "--- the end of the operator's log"
    yield operator_log(kubectl)


def _statuses(kubectl: Kubectl, namespace: str) -> Iterator[str]:
    answer = _ask(kubectl, "get", KINDS, f"--namespace={namespace}", "--output=json")
    try:
        items: list[dict[str, Any]] = json.loads(answer)["items"]
    except (ValueError, KeyError):
        yield answer
        return
    for item in items:
        meta = item["metadata"]
        leaving = ", being deleted" if meta.get("deletionTimestamp") else ""
        yield f"{item['kind']} {meta['name']} (generation {meta.get('generation')}{leaving})"
        yield from (f"  {condition}" for condition in conditions(item).values())
        rollout = (item.get("status") or {}).get("rollout")
        if rollout:
            yield f"  rollout {json.dumps(rollout)}"


def _ask(kubectl: Kubectl, *arguments: str) -> str:
    try:
        done = kubectl.try_run(*arguments, timeout_s=PATIENCE_S)
    except (OSError, subprocess.SubprocessError) as error:
        return f"kubectl {arguments[0]}: {error}"
    return (done.stdout + done.stderr).strip()
