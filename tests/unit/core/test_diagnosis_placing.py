"""From the scheduler's account, and from what admission answers, to one reason and its facts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pointsman.api.conditions import Reason
from pointsman.core import diagnosis
from pointsman.core.capacity import survey
from tests.unit.core.pods import deployment, event, job, pod, unplaced

MOMENT = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
NOT_HELPFUL = " preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
GPU = "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient nvidia.com/gpu"
TAINT = "0/3 nodes are available: 3 node(s) had untolerated taint(s)"
SELECTOR = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector"
BOTH = (
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) didn't match Pod's node "
    "affinity/selector"
)
UNBOUND = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims"
MOUNTS = {"volumes": [{"name": "weights", "persistentVolumeClaim": {"claimName": "llama"}}]}
ASKS = {"containers": [{"name": "engine", "resources": {"limits": {"nvidia.com/gpu": "2"}}}]}
A100 = {"nodeSelector": {"gpu": "a100"}}

ACCOUNTS: list[tuple[str, str, dict[str, Any], Reason, str]] = [
    ("no free accelerator, behind taints", GPU + "." + NOT_HELPFUL, ASKS, Reason.INSUFFICIENT_GPU, GPU),
    (
        "the same with claims of devices",
        GPU + ". no new claims to deallocate," + NOT_HELPFUL,
        ASKS,
        Reason.INSUFFICIENT_GPU,
        GPU,
    ),
    (
        "taints alone",
        TAINT + "." + NOT_HELPFUL,
        {},
        Reason.UNTOLERATED_TAINT,
        f"{TAINT}; hardware.tolerations tolerates none of theirs",
    ),
    (
        "a selector that no node matches",
        SELECTOR + "." + NOT_HELPFUL,
        A100,
        Reason.NO_MATCHING_NODE,
        f"{SELECTOR}; hardware.nodeSelector asks for gpu=a100",
    ),
    (
        "a selector, and taints of nodes that may not be meant",
        BOTH + "." + NOT_HELPFUL,
        A100,
        Reason.NO_MATCHING_NODE,
        f"{BOTH}; hardware.nodeSelector asks for gpu=a100",
    ),
    (
        "a claim that isn't bound",
        UNBOUND + ". not found",
        MOUNTS,
        Reason.VOLUME_UNAVAILABLE,
        f"{UNBOUND}; the pod mounts PersistentVolumeClaim 'llama'",
    ),
    (
        "too little memory",
        "0/1 nodes are available: 1 Insufficient memory." + NOT_HELPFUL,
        {},
        Reason.UNSCHEDULABLE,
        "0/1 nodes are available: 1 Insufficient memory",
    ),
    (
        "a node that is cordoned",
        "0/1 nodes are available: 1 node(s) were unschedulable." + NOT_HELPFUL,
        {},
        Reason.UNSCHEDULABLE,
        "0/1 nodes are available: 1 node(s) were unschedulable",
    ),
    (
        "a gate of another controller",
        "Scheduling is blocked due to non-empty scheduling gates",
        {},
        Reason.UNSCHEDULABLE,
        "Scheduling is blocked due to non-empty scheduling gates",
    ),
]


@pytest.mark.parametrize(
    ("said", "spec", "reason", "message"), [row[1:] for row in ACCOUNTS], ids=[row[0] for row in ACCOUNTS]
)
def test_the_schedulers_account(said: str, spec: dict[str, Any], reason: Reason, message: str) -> None:
    found = diagnosis.capacity([unplaced(said, spec=spec)], [])
    assert found is not None
    assert (found.reason, found.message) == (reason, message)


QUOTA = "exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4"
POLICY = 'admission webhook "policy.test" denied the request: no team label'
RESTRICTED = 'violates PodSecurity "restricted:latest": runAsNonRoot != true'
REFUSALS: list[tuple[str, str, Reason, str]] = [
    (
        "a quota",
        f'pods "chat-3f2a9c41-7d9f8b6c5-" is forbidden: {QUOTA}',
        Reason.QUOTA_EXCEEDED,
        f"pods are forbidden: {QUOTA}",
    ),
    (
        "a quota that demands limits",
        'pods "chat-" is forbidden: failed quota: small: must specify limits.memory for: engine',
        Reason.QUOTA_EXCEEDED,
        "pods are forbidden: failed quota: small: must specify limits.memory for: engine",
    ),
    ("a webhook", POLICY, Reason.ADMISSION_REFUSED, POLICY),
    (
        "the namespace's standard",
        f'pods "chat-" is forbidden: {RESTRICTED}',
        Reason.ADMISSION_REFUSED,
        f"pods are forbidden: {RESTRICTED}",
    ),
]


@pytest.mark.parametrize(
    ("said", "reason", "message"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_what_admission_answers_to_a_replica_set(said: str, reason: Reason, message: str) -> None:
    found = diagnosis.capacity([], [deployment(said)])
    assert found is not None
    assert (found.reason, found.message) == (reason, message)


@pytest.mark.parametrize(
    ("said", "reason", "message"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_the_same_to_a_job_is_in_events_alone(said: str, reason: Reason, message: str) -> None:
    told = event("FailedCreate", f"Error creating: {said}", uid="j")
    assert diagnosis.wanted_events([], [job()]) == ("Job",)
    found = diagnosis.capacity([], [job()], [told])
    assert found is not None
    assert (found.reason, found.message) == (reason, message)
    assert diagnosis.wanted_events([], [job(active=1)]) == ()
    assert diagnosis.capacity([], [job(active=1)], [told]) is None, "it has made its pod since"


CLASSES = [
    (
        'pods "chat-" is forbidden: no PriorityClass with name urgent was found',
        "hardware.priorityClassName: there is no PriorityClass 'urgent'; create it or correct the name",
    ),
    (
        'pods "chat-" is forbidden: pod rejected: RuntimeClass "nvidia" not found',
        "hardware.runtimeClassName: there is no RuntimeClass 'nvidia'; create it or correct the name",
    ),
]


@pytest.mark.parametrize(("said", "message"), CLASSES, ids=["PriorityClass", "RuntimeClass"])
def test_a_class_that_is_missing_is_a_reference(said: str, message: str) -> None:
    found = diagnosis.references([], [deployment(said)], [], MOMENT)
    assert found is not None
    assert (found.reason, found.message) == (Reason.REFERENCE_NOT_FOUND, message)
    assert diagnosis.capacity([], [deployment(said)]) is None


def test_a_claim_that_is_missing_is_a_reference() -> None:
    said = '0/1 nodes are available: persistentvolumeclaim "llama" not found. not found'
    found = diagnosis.references([unplaced(said)], [], [], MOMENT)
    assert found is not None
    assert found.message == "PersistentVolumeClaim 'llama' does not exist; create it"
    assert diagnosis.capacity([unplaced(said)], []) is None


def node(gpus: int, *taints: str, name: str = "n", **labels: str) -> dict[str, Any]:
    bears = [{"key": taint, "value": "present", "effect": "NoSchedule"} for taint in taints]
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": bears},
        "status": {"allocatable": {"cpu": "64", "nvidia.com/gpu": str(gpus)}},
    }


def on(name: str, gpus: int) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(gpus), "memory": "1Gi"}
    return pod(spec={"nodeName": name, "containers": [{"resources": {"limits": limits}}]})


def test_with_discovery_the_account_tells_what_is_asked_what_is_free_and_on_how_many_nodes() -> None:
    nodes = [node(8, name="a"), node(8, name="b"), node(8, "team-b", name="c"), node(0, name="d")]
    rooms = survey(nodes, [on("a", 7), on("b", 4), on("b", 3), on("c", 1), on("", 8)])
    found = diagnosis.capacity([unplaced(GPU, spec=ASKS)], [], [], rooms)
    assert found is not None
    assert found.message == (
        f"{GPU}; a pod asks for 2 nvidia.com/gpu on one node; nodes that bear it: 3 of 4, open to the "
        "pod: 2, free on those: 2 in all, at most 1 on one"
    )


def test_with_discovery_taints_in_the_way_are_told_from_selectors_that_match_nothing() -> None:
    spec = {**ASKS, **A100}
    tainted = survey([node(8, "gpu-only", gpu="a100"), node(0), node(0)], [])
    found = diagnosis.capacity([unplaced(BOTH, spec=spec)], [], [], tainted)
    assert found is not None
    assert (found.reason, found.message) == (
        Reason.UNTOLERATED_TAINT,
        f"{BOTH}; hardware.tolerations doesn't tolerate gpu-only=present:NoSchedule",
    )
    unlabelled = survey([node(8, "control-plane"), node(0), node(0)], [])
    found = diagnosis.capacity([unplaced(BOTH, spec=spec)], [], [], unlabelled)
    assert found is not None
    assert found.reason is Reason.NO_MATCHING_NODE


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "gpu", "value": "present"}, True),
        ({"key": "gpu", "operator": "Equal", "value": "absent"}, False),
        ({"operator": "Exists"}, True),
        ({"key": "other", "operator": "Exists"}, False),
    ],
    ids=["its key", "its key for another effect", "its value", "another value", "everything", "another key"],
)
def test_a_taint_is_tolerated_by(toleration: dict[str, str], tolerated: bool) -> None:
    (room,) = survey([node(1, "gpu")], [])
    assert (room.untolerated(pod(spec={"tolerations": [toleration]})) == []) is tolerated
