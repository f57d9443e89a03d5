"""Why a pod that has a node doesn't serve: image, start, end, silence, eviction.

Tables of rules in the order of their weight: of several pods and containers the weightiest finding counts, so
what is said doesn't depend on how pods are called. The words are those of the kubelet, the runtime, or the
engine's entrypoint, which leaves its root cause in the termination message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pointsman.api import names
from pointsman.api.conditions import Reason
from pointsman.core.conditions import Finding
from pointsman.core.diagnosis import reports
from pointsman.core.world import Manifest

Status = Mapping[str, Any]
ContainerRule = Callable[[Manifest, Status], Finding | None]

PULL_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
RUN_REASONS = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
    }
)
VANISHED = frozenset({"ContainerStatusUnknown"})
"""Reasons of an end that nobody saw, as after a node's reboot; the exit code with it is made up."""
NEVER_RAN = frozenset({"StartError", "ContainerCannotRun"})
"""Reasons of an end, from the runtime, for what never began."""
NO_WORD = VANISHED | NEVER_RAN | {"OOMKilled"}
"""Reasons of an end whose exit code says nothing of what ran."""

ENGINE_REASONS: Mapping[str, Reason] = {
    reason.value: reason
    for reason in (
        Reason.WEIGHTS_NOT_FOUND,
        Reason.WEIGHTS_DOWNLOAD_FAILED,
        Reason.SECRET_INVALID,
        Reason.TOKENIZER_INVALID,
        Reason.ARGUMENTS_INVALID,
        Reason.DEVICE_UNAVAILABLE,
        Reason.OUT_OF_MEMORY,
        Reason.WRONG_ANSWERS,
        Reason.ENGINE_FAILED,
    )
}
"""What an entrypoint may say of itself in its termination message."""

SUPERSEDED = timedelta(minutes=15)
"""A pod that a node threw out stays listed; it explains only the one that was made in its place."""

NODE_LOST = Finding(
    Reason.ENGINE_UNRESPONSIVE, "the node that a pod runs on has stopped reporting: kubectl get nodes"
)

SOON = timedelta(minutes=1)
"""What takes less is never called slow: engines that start in a second vary by more than that."""

_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: |$)')
_USED = re.compile(r"was using [^,]+, request is (\S+), has larger consumption of ([\w/-]+)")
_THRESHOLD = re.compile(r" ?Threshold quantity: [^,]*, available: \S+?\.(?= |$)")
_SIGKILL = 137


def engine(pods: Sequence[Manifest]) -> Finding | None:
    """Why a pod that has a node doesn't run, or runs and doesn't serve."""
    found = []
    for pod in pods:
        thrown_out = _thrown_out(pod, pods)
        if thrown_out:
            found.append((len(RULES), thrown_out.message, thrown_out))
        if _over(pod):
            continue
        for status in reports.containers(pod):
            for rank, rule in enumerate(RULES):
                finding = rule(pod, status)
                if finding:
                    found.append((rank, finding.message, _placed(finding, pod, status)))
                    break
        if node_lost(pod):
            found.append((len(RULES), NODE_LOST.message, NODE_LOST))
    return min(found, key=lambda item: item[:2])[2] if found else None


def slow(pods: Sequence[Manifest], expected: int, now: datetime) -> Finding | None:
    """An engine that starts for longer than twice what is expected, in seconds, and may go on."""
    for pod in pods:
        for status in reports.containers(pod):
            since = reports.running_since(status)
            patient = budget(pod, str(status.get("name")))
            if status.get("started") or since is None or not patient:
                continue
            if now - since > max(timedelta(seconds=2 * expected), SOON):
                return Finding(
                    Reason.SLOW_START,
                    f"an engine takes more than twice the {expected} s that earlier starts make likely; it "
                    f"is restarted if it isn't ready within {patient} s",
                )
    return None


def budget(pod: Manifest, container: str) -> int:
    """Seconds that a container may take to start, from its startupProbe; 0 where it has none."""
    return _patience(pod, container, "startupProbe")


def _patience(pod: Manifest, container: str, kind: str) -> int:
    """Seconds that a probe takes at least to fail for good; 0 where there is none."""
    probe = reports.spec_of(pod, container).get(kind) or {}
    return int(probe.get("periodSeconds") or 10) * int(probe.get("failureThreshold") or 3) if probe else 0


def _image(pod: Manifest, status: Status) -> Finding | None:
    waiting = reports.waiting(status)
    if waiting.get("reason") not in PULL_REASONS:
        return None
    # The kubelet tells in turn that it failed, and that it waits since it failed: the same to a reader.
    said = _BACK_OFF.sub("", reports.plain(str(waiting.get("message") or ""), pod))
    kind, _, rest = said.partition(": ")
    said = rest if kind in PULL_REASONS else said
    return Finding(
        Reason.IMAGE_PULL_FAILED, f"image {status.get('image', '')!r}: {said or waiting['reason']}"
    )


def _cannot_run(pod: Manifest, status: Status) -> Finding | None:
    waiting, ended = reports.waiting(status), reports.last_end(status)
    if waiting.get("reason") in RUN_REASONS:
        said = reports.plain(str(waiting.get("message") or ""), pod)
        # RunContainerError leaves its words with the end; what waits repeats the reason at most.
        said = said or reports.plain(str(ended.get("message") or waiting["reason"]), pod)
        return Finding(Reason.CONTAINER_CANNOT_RUN, f"the container can't be started: {said}")
    if ended.get("reason") in NEVER_RAN and not status.get("ready"):
        said = reports.plain(str(ended.get("message") or ended["reason"]), pod)
        return Finding(Reason.CONTAINER_CANNOT_RUN, f"the container can't be started: {said}")
    return None


def _ended(pod: Manifest, status: Status) -> Finding | None:
    ended = reports.last_end(status)
    if not ended or status.get("ready"):
        return None
    if status.get("name") == names.RESOLVE_CONTAINER and ended.get("exitCode") == 0:
        return None
    left = reports.document(ended.get("message")) or {}
    if left.get("reason") in ENGINE_REASONS:
        return Finding(ENGINE_REASONS[str(left["reason"])], str(left.get("message", "")))
    return next(finding for rule in ENDS if (finding := rule(pod, status, ended, left)))


def _killed_for_memory(pod: Manifest, status: Status, ended: Status, left: Status) -> Finding | None:
    if ended.get("reason") != "OOMKilled":
        return None
    limits = (reports.spec_of(pod, str(status.get("name"))).get("resources") or {}).get("limits") or {}
    limit = f" of {limits['memory']}" if "memory" in limits else ""
    ours = status.get("name") == names.ENGINE_CONTAINER
    help_ = ": raise hardware.resources.limits.memory, or lower engine.maxModelLen" if ours else ""
    return Finding(
        Reason.OUT_OF_MEMORY,
        f"the kernel killed {reports.who(status)} for exceeding resources.limits.memory{limit}{help_}",
    )


def _killed_while_starting(pod: Manifest, status: Status, ended: Status, left: Status) -> Finding | None:
    """The kubelet's startup probe ends what didn't begin to serve in time; that leaves no words but in events
    that are gone soon. The entrypoint knows that it was stopped before it had started."""
    patient = budget(pod, str(status.get("name")))
    if not patient:
        return None
    if not (left["started"] is False if "started" in left else _ran_for(pod, ended, patient)):
        return None
    during = f" (it was in phase {left['stopped']})" if left.get("stopped") else ""
    return Finding(
        Reason.STARTUP_BUDGET_EXCEEDED,
        f"{reports.who(status)} wasn't ready within {patient} s and was restarted{during}",
    )


def _ran_for(pod: Manifest, ended: Status, patient: int) -> bool:
    """Whether it ended about when the startup probe had failed for the last time."""
    began, over = reports.moment(ended.get("startedAt")), reports.moment(ended.get("finishedAt"))
    if began is None or over is None or ended.get("exitCode") not in (0, _SIGKILL, 143):
        return False
    grace = int((pod.get("spec") or {}).get("terminationGracePeriodSeconds") or 30)
    return timedelta(seconds=patient - 20) <= over - began <= timedelta(seconds=patient + grace + 60)


def _killed_for_silence(pod: Manifest, status: Status, ended: Status, left: Status) -> Finding | None:
    """The kubelet's liveness probe stops what doesn't answer; the entrypoint then tells that it had started,
    unless it had to be killed."""
    silent = _killed(ended) and _outlived(ended, _patience(pod, str(status.get("name")), "livenessProbe"))
    if not left.get("started") and not silent:
        return None
    return Finding(
        Reason.ENGINE_UNRESPONSIVE,
        f"{reports.who(status)} stopped answering its liveness probe and was restarted by the kubelet",
    )


def _killed(ended: Status) -> bool:
    return ended.get("exitCode") == _SIGKILL and ended.get("reason") not in VANISHED


def _outlived(ended: Status, patient: int) -> bool:
    """Whether it ran for as long as a probe takes to fail, as far as is known; never, where there is none."""
    began, over = reports.moment(ended.get("startedAt")), reports.moment(ended.get("finishedAt"))
    return bool(patient) and (began is None or over is None or over - began >= timedelta(seconds=patient))


def _ended_by_itself(pod: Manifest, status: Status, ended: Status, left: Status) -> Finding:
    again = status.get("restartCount", 0) > 1 or reports.waiting(status).get("reason") == "CrashLoopBackOff"
    last = reports.plain(str(ended.get("message") or ""), pod)
    killed = " (killed from outside, SIGKILL)" if _killed(ended) else ""
    last = last or f"exit code {ended.get('exitCode')}{killed}, no message left"
    return Finding(
        Reason.ENGINE_CRASH_LOOPING if again else Reason.ENGINE_FAILED, f"{reports.who(status)} ended: {last}"
    )


ENDS: Sequence[Callable[[Manifest, Status, Status, Status], Finding | None]] = (
    _killed_for_memory,
    _killed_while_starting,
    _killed_for_silence,
    _ended_by_itself,
)
"""How a container ends that leaves no reason of its own; the last rule always finds."""


def _silent(pod: Manifest, status: Status) -> Finding | None:
    """It runs, has started, was ready since, and isn't any more."""
    since = reports.running_since(status)
    lost = reports.moment(reports.condition(pod, "Ready").get("lastTransitionTime"))
    if status.get("ready") or not status.get("started") or since is None or lost is None:
        return None
    if lost <= since or reports.condition(pod, "Ready").get("status") != "False":
        return None
    return Finding(
        Reason.ENGINE_UNRESPONSIVE,
        f"{reports.who(status)} was ready and answers its readiness probe no more; it is restarted if that "
        "goes on",
    )


RULES: Sequence[ContainerRule] = (_image, _cannot_run, _ended, _silent)
"""What a container's status may show, the weightiest first."""


def _placed(finding: Finding, pod: Manifest, status: Status) -> Finding:
    """Says which container it is, where it isn't ours: admission may put others beside it."""
    name = str(status.get("name") or "")
    if not name or name in reports.OURS:
        return finding
    return Finding(finding.reason, f"container {name!r}: {finding.message}")


def _over(pod: Manifest) -> bool:
    """Whether the pod is done for good, and what its containers say is no longer about the present."""
    failed = (pod.get("status") or {}).get("reason")
    return bool(failed) and reports.phase(pod) in reports.TERMINAL


def _thrown_out(pod: Manifest, pods: Sequence[Manifest]) -> Finding | None:
    reason = str((pod.get("status") or {}).get("reason") or "")
    if not reason or reports.phase(pod) != "Failed" or not _recent(pod, pods):
        return None
    said = reports.plain(str((pod.get("status") or {}).get("message") or reason), pod)
    said = _USED.sub(r"used more \2 than its request of \1", _THRESHOLD.sub("", said + ".")).rstrip(". ")
    kind = Reason.DEVICE_UNAVAILABLE if "devices" in said else Reason.EVICTED
    return Finding(kind, f"a node ended a pod ({reason}): {said}")


def _recent(failed: Manifest, pods: Sequence[Manifest]) -> bool:
    """Whether the pods that now come up are those made in its place."""
    unready = [
        made
        for pod in pods
        if reports.phase(pod) not in reports.TERMINAL
        and reports.condition(pod, "Ready").get("status") != "True"
        and (made := reports.moment(pod["metadata"].get("creationTimestamp")))
    ]
    began = reports.moment(failed["metadata"].get("creationTimestamp"))
    moments = [
        reports.moment(condition.get("lastTransitionTime"))
        for condition in (failed.get("status") or {}).get("conditions") or ()
    ]
    over = max((found for found in [*moments, began] if found), default=None)
    return not unready or over is None or max(unready) - over < SUPERSEDED


def node_lost(pod: Manifest) -> bool:
    """Whether the node controller calls a pod unready whose kubelet, by its last report, had it ready."""
    listed = list(reports.containers(pod))
    ready = bool(listed) and all(status.get("ready") for status in listed)
    said = reports.condition(pod, "Ready")
    # The kubelet itself says so of a pod whose containers are ready and whose gates aren't open yet.
    return ready and said.get("status") == "False" and said.get("reason") != "ReadinessGatesNotReady"
