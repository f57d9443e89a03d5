"""Every pod we ever ask for keeps the restricted standard: by our checker, and where a server enforces it."""

from __future__ import annotations

import asyncio
import copy
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from e2e.cluster import ControlPlane
from tests.pss import violations
from tests.readings.rendered import CHECKS, everything, pods
from tests.unit.house.test_pss import CASES, RESTRICTED

Pods = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def rendered() -> Pods:
    return dict(pods(asyncio.run(everything())))


def test_every_sort_of_pod_is_among_them(rendered: Pods) -> None:
    containers = {container["name"] for spec in rendered.values() for container in spec["containers"]}
    assert containers == {"operator", "router", "engine", "resolve", "trial", "check"}
    assert len(rendered) > 20


def test_whoever_asks_about_a_candidate_is_among_them(rendered: Pods) -> None:
    asking = [name for name in rendered if name.startswith("asking: Job ")]
    assert sum("-trial-" in name for name in asking) == 1
    assert sum("-check-" in name for name in asking) == len(CHECKS)


def test_our_checker_finds_nothing(rendered: Pods) -> None:
    assert {name: found for name, spec in rendered.items() if (found := violations(spec))} == {}


def test_no_pod_holds_a_token_it_does_not_use(rendered: Pods) -> None:
    for name, spec in rendered.items():
        containers = {container["name"] for container in spec["containers"]}
        declared = containers == {"check"} and "serviceAccountName" in spec
        talks = declared or bool({"operator", "router"} & containers)
        assert spec.get("automountServiceAccountToken", talks) is talks, name


@pytest.fixture
def enforcing(apiserver: ControlPlane) -> Iterator[str]:
    """A namespace that refuses what isn't restricted."""
    namespace = f"restricted-{secrets.token_hex(4)}"
    apiserver.kubectl.run("create", "namespace", namespace)
    apiserver.kubectl.run("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    apiserver.kubectl.try_run("create", "serviceaccount", "default", f"--namespace={namespace}")
    yield namespace
    apiserver.kubectl.run("delete", "namespace", namespace, "--wait=false")


def refused(plane: ControlPlane, namespace: str, specs: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """What the server says to pods of these specs, by their place, where it wouldn't make them."""
    items = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p-{number}-p"}, "spec": _alone(spec)}
        for number, spec in enumerate(specs)
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    done = plane.kubectl.try_run(
        "create", "--dry-run=server", f"--namespace={namespace}", "--filename=-", stdin=listed
    )
    said = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(said) + len(done.stdout.splitlines()) == len(specs), done.stderr
    return {number: line for number in range(len(specs)) for line in said if f'"p-{number}-p"' in line}


def _alone(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec without the names of what isn't there, and with what else makes it valid: the standard knows
    nothing of these."""
    alone = copy.deepcopy(dict(spec))
    for field in ("serviceAccountName", "priorityClassName", "runtimeClassName"):
        alone.pop(field, None)
    alone["restartPolicy"] = "Always"
    for container in alone["containers"]:
        container.setdefault("image", "example.com/any:1")
    for volume in alone.get("volumes") or ():
        if "nfs" in volume:
            volume["nfs"]["server"] = "example.com"
    for sysctl in (alone.get("securityContext") or {}).get("sysctls") or ():
        sysctl["value"] = "1"
    return alone


@pytest.mark.apiserver
def test_a_namespace_that_enforces_the_standard_takes_them_all(
    apiserver: ControlPlane, enforcing: str, rendered: Pods
) -> None:
    assert refused(apiserver, enforcing, list(rendered.values())) == {}


@pytest.mark.apiserver
def test_the_server_refuses_what_our_checker_names(apiserver: ControlPlane, enforcing: str) -> None:
    cases: list[Any] = list(CASES.values())
    specs = []
    for pod, container, _ in cases:
        spec = {**copy.deepcopy(RESTRICTED), **pod}
        spec["containers"] = [{**spec["containers"][0], **container}]
        specs.append(spec)
    accepted = set(range(len(specs))) - refused(apiserver, enforcing, specs).keys()
    assert [list(CASES)[number] for number in sorted(accepted)] == []
