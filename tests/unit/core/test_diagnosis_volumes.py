"""What only events tell: volumes, sandboxes, Secrets for images; and when an event is no longer true."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.api.conditions import Reason
from pointsman.core import diagnosis
from pointsman.core.conditions import Finding
from pointsman.core.diagnosis import reports
from tests.unit.core.pods import UID, event, pod, waiting

MOMENT = reports.moment("2026-01-01T12:01:00Z")
CREATING = pod(waiting("ContainerCreating"))
STARTABLE = {"type": "PodReadyToStartContainers", "status": "True"}
SECRET = 'MountVolume.SetUp failed for volume "hub" : secret "hub-token" not found'
KEY = 'MountVolume.SetUp failed for volume "hub" : references non-existent secret key: token'
CONFIG = 'MountVolume.SetUp failed for volume "ca" : configmap "ca" not found'
LATE = (
    "Unable to attach or mount volumes: unmounted volumes=[hub], unattached volumes=[], failed to process "
    "volumes=[]: context deadline exceeded"
)
NFS = (
    f'MountVolume.SetUp failed for volume "pv-1" : mount failed: exit status 32 Mounting arguments: -t nfs '
    f"nfs:/models /var/lib/kubelet/pods/{UID}/volumes/pv-1 Output: Connection refused"
)
BUSY = 'Multi-Attach error for volume "pv-1" Volume is already used by pod(s) chat-a-x2x4z, chat-b-zz9qq'
SANDBOX = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
    f'"{"0a" * 32}": plugin type="bridge" failed (add): no IP addresses'
)
RETRIEVE = "Unable to retrieve some image pull secrets (ours); attempting to pull the image may not succeed."


def told(*events: dict[str, Any], seen: dict[str, Any] = CREATING) -> tuple[Finding | None, Finding | None]:
    """What is said of references, and of the engine."""
    assert MOMENT is not None
    return diagnosis.references([seen], [], events, MOMENT), diagnosis.engine([seen], events)


MISSING = [
    (
        "a Secret",
        SECRET,
        Reason.SECRET_NOT_FOUND,
        "Secret 'hub-token' does not exist; create it with the key 'token'",
    ),
    ("a Secret's key", KEY, Reason.SECRET_INVALID, "the Secret has no key 'token'; add it"),
    ("a ConfigMap", CONFIG, Reason.REFERENCE_NOT_FOUND, "ConfigMap 'ca' does not exist; create it"),
]


@pytest.mark.parametrize(
    ("said", "reason", "message"), [row[1:] for row in MISSING], ids=[row[0] for row in MISSING]
)
def test_a_mount_lacks(said: str, reason: Reason, message: str) -> None:
    later = event("FailedMount", LATE, seen="2026-01-01T12:00:59Z")
    assert told(event("FailedMount", said), later) == (Finding(reason, message), None)


UNAVAILABLE = [
    (
        "a mount that fails: the pod's uid is in its path",
        "FailedMount",
        NFS,
        'MountVolume.SetUp failed for volume "pv-1" : mount failed: exit status 32 Mounting arguments: -t '
        "nfs nfs:/models /var/lib/kubelet/pods/…/volumes/pv-1 Output: Connection refused",
    ),
    (
        "a volume that others hold",
        "FailedAttachVolume",
        BUSY,
        'Multi-Attach error for volume "pv-1" Volume is already used by pod(s) of others',
    ),
    ("nothing but that it takes long", "FailedMount", LATE, "volumes hub aren't attached or mounted yet"),
]


@pytest.mark.parametrize(
    ("why", "said", "message"), [row[1:] for row in UNAVAILABLE], ids=[row[0] for row in UNAVAILABLE]
)
def test_a_volume_is_unavailable(why: str, said: str, message: str) -> None:
    assert told(event(why, said)) == (None, Finding(Reason.VOLUME_UNAVAILABLE, message))


def test_the_sandbox_fails_after_the_mounts_have_succeeded() -> None:
    failed = event("FailedCreatePodSandBox", SANDBOX, seen="2026-01-01T12:00:30Z")
    assert told(event("FailedMount", SECRET), failed) == (
        None,
        Finding(
            Reason.CONTAINER_CANNOT_RUN,
            "the pod can't be started: Failed to create pod sandbox: rpc error: code = Unknown desc = failed "
            'to setup network for sandbox "…": plugin type="bridge" failed (add): no IP addresses',
        ),
    )


def test_an_event_outlives_its_cause_and_is_believed_no_longer() -> None:
    pulling = pod(waiting("ContainerCreating"), conditions=(STARTABLE,))
    assert told(event("FailedMount", SECRET), seen=pulling) == (None, None)
    assert diagnosis.wanted_events([pulling], []) == ()
    assert diagnosis.wanted_events([CREATING], []) == ("Pod",)


def test_another_pods_events_say_nothing() -> None:
    assert told(event("FailedMount", SECRET, uid="other")) == (None, None)


def test_the_newest_of_two_causes_counts() -> None:
    later = event("FailedMount", CONFIG, seen="2026-01-01T12:00:30Z")
    found, _ = told(event("FailedMount", SECRET), later)
    assert found is not None
    assert found.reason is Reason.REFERENCE_NOT_FOUND


def test_an_image_may_fail_for_want_of_its_secret() -> None:
    pulling = pod(waiting("ErrImagePull", "denied"), spec={"imagePullSecrets": [{"name": "ours"}]})
    assert diagnosis.wanted_events([pulling], []) == ("Pod",)
    found, failed = told(event("FailedToRetrieveImagePullSecret", RETRIEVE), seen=pulling)
    assert found == Finding(
        Reason.SECRET_NOT_FOUND,
        "Secret 'ours', which images are to be pulled with, does not exist; create it or correct "
        "pod.imagePullSecrets",
    )
    assert failed is not None
    assert failed.reason is Reason.IMAGE_PULL_FAILED
    stale = event("FailedToRetrieveImagePullSecret", RETRIEVE, seen="2026-01-01T11:00:00Z")
    assert told(stale, seen=pulling)[0] is None, "the kubelet says it again while it is so"


def test_events_of_both_groups_are_read() -> None:
    modern = {
        "metadata": {"name": "e"},
        "regarding": {"kind": "Pod", "uid": UID},
        "reason": "FailedMount",
        "note": SECRET,
        "eventTime": "2026-01-01T12:00:00.000000Z",
        "series": {"count": 3, "lastObservedTime": "2026-01-01T12:00:40.000000Z"},
    }
    found, _ = told(event("FailedMount", CONFIG, seen="2026-01-01T12:00:30Z"), modern)
    assert found is not None
    assert found.reason is Reason.SECRET_NOT_FOUND
