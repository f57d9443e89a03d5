"""The Pod Security checker that other tests trust: it must accept what's restricted and name what isn't."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.pss import pod_specs, violations

RESTRICTED: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "main",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "ports": [{"containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
        }
    ],
    "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "token", "secret": {"secretName": "token"}}],
}

CASES = {
    "the host's network": ({"hostNetwork": True}, {}, "hostNetwork is set"),
    "the host's processes": ({"hostPID": True}, {}, "hostPID is set"),
    "a path of the host": ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, {}, "of type hostPath"),
    "an NFS volume": ({"volumes": [{"name": "v", "nfs": {"path": "/"}}]}, {}, "of type nfs"),
    "an unsafe sysctl": (
        {"securityContext": {**RESTRICTED["securityContext"], "sysctls": [{"name": "kernel.msgmax"}]}},
        {},
        "sysctl kernel.msgmax",
    ),
    "root in the pod": (
        {"securityContext": {**RESTRICTED["securityContext"], "runAsUser": 0}},
        {},
        "runAsUser is 0",
    ),
    "nothing said about root": (
        {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
        {},
        "runAsNonRoot is not true",
    ),
    "no seccomp profile": (
        {"securityContext": {"runAsNonRoot": True}},
        {},
        "seccompProfile is neither RuntimeDefault nor Localhost",
    ),
    "a container that takes root back": (
        {},
        {"securityContext": {"runAsNonRoot": False}},
        "runAsNonRoot is not",
    ),
    "a privileged container": ({}, {"securityContext": {"privileged": True}}, "is privileged"),
    "escalation not refused": (
        {},
        {"securityContext": {"capabilities": {"drop": ["ALL"]}}},
        "allowPrivilegeEscalation is not false",
    ),
    "capabilities kept": (
        {},
        {"securityContext": {"allowPrivilegeEscalation": False}},
        "capabilities do not drop ALL",
    ),
    "a capability added": (
        {},
        {"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}},
        "capability SYS_ADMIN is added",
    ),
    "an unmasked /proc": ({}, {"securityContext": {"procMount": "Unmasked"}}, "procMount"),
    "no AppArmor": (
        {},
        {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
        "appArmorProfile is Unconfined",
    ),
    "a port of the host": ({}, {"ports": [{"containerPort": 1, "hostPort": 1}]}, "port 1 is a host port"),
    "a probe of another host": (
        {},
        {"livenessProbe": {"httpGet": {"host": "h", "port": 1}}},
        "livenessProbe names a host",
    ),
}


def test_a_restricted_pod_breaks_nothing() -> None:
    assert violations(RESTRICTED) == []


@pytest.mark.parametrize("kind", ["containers", "initContainers", "ephemeralContainers"])
@pytest.mark.parametrize(("pod", "container", "expected"), CASES.values(), ids=CASES.keys())
def test_it_names(pod: dict[str, Any], container: dict[str, Any], expected: str, kind: str) -> None:
    spec = copy.deepcopy(RESTRICTED) | pod
    spec[kind] = [{**spec["containers"][0], **container}]
    assert any(expected in violation for violation in violations(spec)), violations(spec)


@pytest.mark.parametrize(
    ("manifest", "count"),
    [
        ({"kind": "Pod", "spec": RESTRICTED}, 1),
        ({"kind": "Deployment", "spec": {"template": {"spec": RESTRICTED}}}, 1),
        ({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": RESTRICTED}}}}}, 1),
        ({"kind": "Service", "spec": {"type": "ClusterIP"}}, 0),
        ({"kind": "ConfigMap", "data": {}}, 0),
    ],
    ids=["a Pod", "a workload", "a CronJob", "a Service", "a ConfigMap"],
)
def test_it_finds_the_pods_of(manifest: dict[str, Any], count: int) -> None:
    assert len(pod_specs(manifest)) == count
