"""From what the kubelet says of containers to one reason, in words that don't change with every restart."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from pointsman.api.conditions import Reason
from pointsman.core import diagnosis
from pointsman.core.diagnosis.containers import ENGINE_REASONS, budget
from pointsman_engine.outcome import Reason as Told
from tests.unit.core.pods import NAME, NOW, UID, container, ended, pod, waiting

PULL = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "registry.test/engine:1": failed to '
    'resolve reference "registry.test/engine:1": registry.test/engine:1: not found'
)
UDP = "failed to do request: dial tcp: lookup r on 10.0.0.1:53: read udp 10.0.0.2:48642->10.0.0.1:53: i/o"
PROBED: dict[str, Any] = {
    "spec": {
        "terminationGracePeriodSeconds": 330,
        "containers": [
            {
                "name": "engine",
                "startupProbe": {"periodSeconds": 5, "failureThreshold": 120},
                "livenessProbe": {"periodSeconds": 10, "failureThreshold": 6},
                "resources": {"limits": {"memory": "64Gi"}},
            }
        ],
    }
}
LOST = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T12:30:00Z"}
NEVER = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T11:59:00Z"}
SILENT = container(started=True, state={"running": {"startedAt": NOW}})

TABLE: list[tuple[str, dict[str, Any], Reason, str]] = [
    (
        "an image that isn't there",
        pod(waiting("ErrImagePull", PULL)),
        Reason.IMAGE_PULL_FAILED,
        f"image 'registry.test/engine:1': {PULL}",
    ),
    (
        "the same while the kubelet backs off",
        pod(
            waiting(
                "ImagePullBackOff", f'Back-off pulling image "registry.test/engine:1": ErrImagePull: {PULL}'
            )
        ),
        Reason.IMAGE_PULL_FAILED,
        f"image 'registry.test/engine:1': {PULL}",
    ),
    (
        "a registry without a name: the port that a look-up came from ticks",
        pod(waiting("ErrImagePull", UDP)),
        Reason.IMAGE_PULL_FAILED,
        f"image 'registry.test/engine:1': {UDP.replace(':48642', '…')}",
    ),
    (
        "an image that may not be pulled",
        pod(
            waiting(
                "ErrImageNeverPull",
                'Container image "registry.test/engine:1" is not present with pull policy of Never',
            )
        ),
        Reason.IMAGE_PULL_FAILED,
        "image 'registry.test/engine:1': Container image \"registry.test/engine:1\" is not present with pull "
        "policy of Never",
    ),
    (
        "a configuration that the runtime refuses, naming pod and uid",
        pod(
            waiting(
                "CreateContainerConfigError",
                f'container has runAsNonRoot and image will run as root (pod: "{NAME}_team-a({UID})", '
                "container: engine)",
            )
        ),
        Reason.CONTAINER_CANNOT_RUN,
        "the container can't be started: container has runAsNonRoot and image will run as root (pod: "
        '"…_team-a(…)", container: engine)',
    ),
    (
        "a command that isn't in the image",
        pod(
            container(
                state={"waiting": {"reason": "RunContainerError"}},
                lastState={
                    "terminated": {
                        "exitCode": 128,
                        "reason": "StartError",
                        "message": 'exec: "serve": executable file not found in $PATH',
                    }
                },
            )
        ),
        Reason.CONTAINER_CANNOT_RUN,
        'the container can\'t be started: exec: "serve": executable file not found in $PATH',
    ),
    (
        "a container that another put beside ours",
        pod(container("istio-proxy", state={"waiting": {"reason": "CreateContainerError", "message": "no"}})),
        Reason.CONTAINER_CANNOT_RUN,
        "container 'istio-proxy': the container can't be started: no",
    ),
    (
        "host memory",
        pod(ended(137, reason="OOMKilled"), **PROBED),
        Reason.OUT_OF_MEMORY,
        "the kernel killed the engine for exceeding resources.limits.memory of 64Gi: raise "
        "hardware.resources.limits.memory, or lower engine.maxModelLen",
    ),
    (
        "a first end without a reason of its own",
        pod(ended(2)),
        Reason.ENGINE_FAILED,
        "the engine ended: exit code 2, no message left",
    ),
    (
        "an end again and again",
        pod(ended(2, "Segmentation fault\n", restartCount=5)),
        Reason.ENGINE_CRASH_LOOPING,
        "the engine ended: Segmentation fault",
    ),
    (
        "an end without an error is one too",
        pod(ended(0, restartCount=5)),
        Reason.ENGINE_CRASH_LOOPING,
        "the engine ended: exit code 0, no message left",
    ),
    (
        "stopped by the startup probe, as the entrypoint tells",
        pod(ended(0, json.dumps({"stopped": "Loading", "started": False})), **PROBED),
        Reason.STARTUP_BUDGET_EXCEEDED,
        "the engine wasn't ready within 600 s and was restarted (it was in phase Loading)",
    ),
    (
        "stopped by the startup probe, as its time tells",
        pod(ended(137, startedAt="2026-01-01T12:00:00Z", finishedAt="2026-01-01T12:12:00Z"), **PROBED),
        Reason.STARTUP_BUDGET_EXCEEDED,
        "the engine wasn't ready within 600 s and was restarted",
    ),
    (
        "stopped by the liveness probe, as the entrypoint tells",
        pod(ended(0, json.dumps({"stopped": "Ready", "started": True})), **PROBED),
        Reason.ENGINE_UNRESPONSIVE,
        "the engine stopped answering its liveness probe and was restarted by the kubelet",
    ),
    (
        "killed by the liveness probe, hours after it began",
        pod(ended(137, startedAt="2026-01-01T01:00:00Z", finishedAt="2026-01-01T12:12:00Z"), **PROBED),
        Reason.ENGINE_UNRESPONSIVE,
        "the engine stopped answering its liveness probe and was restarted by the kubelet",
    ),
    (
        "killed, nobody knows after how long",
        pod(ended(137), **PROBED),
        Reason.ENGINE_UNRESPONSIVE,
        "the engine stopped answering its liveness probe and was restarted by the kubelet",
    ),
    (
        "killed before a liveness probe can have failed",
        pod(ended(137, startedAt="2026-01-01T12:00:00Z", finishedAt="2026-01-01T12:00:59Z"), **PROBED),
        Reason.ENGINE_FAILED,
        "the engine ended: exit code 137 (killed from outside, SIGKILL), no message left",
    ),
    (
        "killed again and again, without a probe",
        pod(ended(137, restartCount=5)),
        Reason.ENGINE_CRASH_LOOPING,
        "the engine ended: exit code 137 (killed from outside, SIGKILL), no message left",
    ),
    (
        "another's container that was killed, and has no liveness probe",
        pod({**ended(137), "name": "istio-proxy"}, **PROBED),
        Reason.ENGINE_FAILED,
        "container 'istio-proxy': the container ended: exit code 137 (killed from outside, SIGKILL), no "
        "message left",
    ),
    (
        "gone with its node, which nobody saw",
        pod(ended(137, "The container could not be located", "ContainerStatusUnknown"), **PROBED),
        Reason.ENGINE_FAILED,
        "the engine ended: The container could not be located",
    ),
    (
        "silent since it was ready",
        pod(SILENT, conditions=(LOST,)),
        Reason.ENGINE_UNRESPONSIVE,
        "the engine was ready and answers its readiness probe no more; it is restarted if that goes on",
    ),
    (
        "a node that stopped reporting",
        pod(container(ready=True, started=True, state={"running": {"startedAt": NOW}}), conditions=(LOST,)),
        Reason.ENGINE_UNRESPONSIVE,
        "the node that a pod runs on has stopped reporting: kubectl get nodes",
    ),
    (
        "a registry without a name on a network of IPv6",
        pod(waiting("ErrImagePull", "read udp [fd00::2]:48642->[fd00::1]:53: i/o timeout")),
        Reason.IMAGE_PULL_FAILED,
        "image 'registry.test/engine:1': read udp [fd00::2]…->[fd00::1]:53: i/o timeout",
    ),
    (
        "eviction for memory: what was used when ticks",
        pod(
            phase="Failed",
            reason="Evicted",
            message="The node was low on resource: memory. Threshold quantity: 100Mi, available: 73516Ki. "
            "Container engine was using 8123456Ki, request is 1Gi, has larger consumption of memory. ",
        ),
        Reason.EVICTED,
        "a node ended a pod (Evicted): The node was low on resource: memory. Container engine used more "
        "memory than its request of 1Gi",
    ),
    (
        "eviction for a volume that grew",
        pod(
            phase="Failed",
            reason="Evicted",
            message='Usage of EmptyDir volume "weights" exceeds the limit "3Gi". ',
        ),
        Reason.EVICTED,
        'a node ended a pod (Evicted): Usage of EmptyDir volume "weights" exceeds the limit "3Gi"',
    ),
    (
        "a device that the node's plugin has lost",
        pod(
            phase="Failed",
            reason="UnexpectedAdmissionError",
            message="Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate "
            "unhealthy devices nvidia.com/gpu, which is unexpected",
        ),
        Reason.DEVICE_UNAVAILABLE,
        "a node ended a pod (UnexpectedAdmissionError): Pod was rejected: Allocate failed due to no healthy "
        "devices present; cannot allocate unhealthy devices nvidia.com/gpu, which is unexpected",
    ),
]


@pytest.mark.parametrize(
    ("seen", "reason", "message"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_finds(seen: dict[str, Any], reason: Reason, message: str) -> None:
    found = diagnosis.engine([seen])
    assert found is not None
    assert (found.reason, found.message) == (reason, message)


@pytest.mark.parametrize("told", Told, ids=str)
def test_what_an_entrypoint_says_of_itself_is_believed(told: Told) -> None:
    found = diagnosis.engine([pod(ended(1, json.dumps({"reason": told.value, "message": "why"})))])
    assert found is not None
    assert (found.reason.value, found.message) == (told.value, "why")
    assert told.value in ENGINE_REASONS


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(pod(container(ready=True, lastState={"terminated": {"exitCode": 1}})), id="ready again"),
        pytest.param(pod(waiting("ContainerCreating")), id="on its way"),
        pytest.param(
            pod(SILENT, conditions=(NEVER,)), id="started, and about to be ready for the first time"
        ),
        pytest.param(pod(container("resolve", state={"terminated": {"exitCode": 0}})), id="a look-up done"),
        pytest.param(pod(), id="nothing reported yet"),
        pytest.param(
            pod(container(ready=True), conditions=({**LOST, "reason": "ReadinessGatesNotReady"},)),
            id="behind a gate that somebody else opens",
        ),
    ],
)
def test_says_nothing_of_a_pod_that_is(seen: dict[str, Any]) -> None:
    assert diagnosis.engine([seen]) is None


def test_of_several_pods_the_weightiest_speaks_whatever_their_names() -> None:
    crashed, unpulled = pod(ended(1), name="a"), pod(waiting("ErrImagePull", "gone"), name="b")
    found = {diagnosis.engine(pods) for pods in ([crashed, unpulled], [unpulled, crashed])}
    assert [finding and finding.reason for finding in found] == [Reason.IMAGE_PULL_FAILED]


def test_an_evicted_pod_explains_only_the_one_made_in_its_place() -> None:
    gone = pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory. ")
    replaced, much_later = pod(waiting("ContainerCreating")), pod(waiting("ContainerCreating"))
    much_later["metadata"]["creationTimestamp"] = "2026-01-03T11:00:00Z"
    assert diagnosis.engine([gone, replaced])
    assert diagnosis.engine([gone, much_later]) is None


@pytest.mark.parametrize(
    ("expected", "since", "found"),
    [(60, 130, True), (60, 110, False), (400, 500, False), (1, 50, False)],
    ids=["more than twice as long as the last", "not yet twice", "the last was as slow", "soon anyway"],
)
def test_an_engine_that_starts(expected: int, since: int, found: bool) -> None:
    seen = pod(container(state={"running": {"startedAt": NOW}}, started=False), **PROBED)
    now = datetime.fromisoformat(NOW) + timedelta(seconds=since)
    finding = diagnosis.slow([seen], expected, now)
    assert bool(finding) is found
    assert budget(seen, "engine") == 600


def test_what_is_slow_is_told_without_what_ticks() -> None:
    seen = pod(container(state={"running": {"startedAt": NOW}}, started=False), **PROBED)
    moments = (datetime.fromisoformat(NOW) + timedelta(seconds=s) for s in (130, 200, 599))
    assert {finding.message for now in moments if (finding := diagnosis.slow([seen], 60, now))} == {
        "an engine takes more than twice the 60 s that earlier starts make likely; it is restarted if it "
        "isn't ready within 600 s"
    }
