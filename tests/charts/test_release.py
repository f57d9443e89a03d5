"""A release's life on a real API server: installed, upgraded, taken away, installed again.

On a control plane of its own, since CRDs belong to whoever installed them. Nothing runs there: that the
operator's image starts is e2e's business.
"""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Iterator

import pytest

from e2e.cluster import ControlPlane, control_plane
from e2e.helm import NAMESPACE, Helm
from pointsman.api.rbac import RBAC
from tests.charts.rendering import ROOT, render

pytestmark = pytest.mark.apiserver

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:pointsman"
CRDS = {
    f"{plural}.serving.pointsman.dev"
    for plural in ("llmmodels", "llmrouters", "llmservices", "promptsuites", "promptversions")
}
SERVICE = """
apiVersion: serving.pointsman.dev/v1alpha1
kind: LLMService
metadata: {name: chat, namespace: default}
spec:
  model: {source: {uri: "file:///models/tiny"}}
"""
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with control_plane() as plane:
        plane.kubectl.run("create", "namespace", NAMESPACE)
        # What the operator's pod promises is checked by the API server too.
        plane.kubectl.run("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        yield plane


@pytest.fixture
def helm(plane: ControlPlane) -> Iterator[Helm]:
    # The kinds stay from one case to the next, as they do between releases. Objects don't: the API server is
    # slow to let go of a kind that has any.
    helm = Helm(plane.kubeconfig)
    yield helm
    if names(plane, "crd"):
        plane.kubectl.run("delete", "llmservices", "--all", "--all-namespaces")
    helm.uninstall()


def established(plane: ControlPlane) -> None:
    """Waits until the kinds are served."""
    plane.kubectl.run("wait", "--for=condition=Established", f"--timeout={PATIENCE_S:.0f}s", "crd", *CRDS)


def names(plane: ControlPlane, kind: str, *arguments: str) -> set[str]:
    """Names of the chart's objects of one kind."""
    found = plane.kubectl.json("get", kind, "--selector=app.kubernetes.io/name=pointsman", *arguments)
    return {item["metadata"]["name"] for item in found["items"]}


def may(plane: ControlPlane, verb: str, resource: str, namespace: str) -> bool:
    """Whether the operator's account may, in the API server's own judgement."""
    done = plane.kubectl.try_run(
        "auth", "can-i", verb, resource, f"--as={ACCOUNT}", f"--namespace={namespace}"
    )
    return done.stdout.strip() == "yes"


def manifests_in(text: str) -> list[str]:
    """The objects of ours that a page shows: from their first line to the end of the block they stand in."""
    blocks = re.findall(r"^( *apiVersion: serving\.pointsman\.dev/.*?)^ *(?:```|YAML)$", text, re.M | re.S)
    return [textwrap.dedent(block) for block in blocks]


def test_installed_it_serves_the_kinds_and_starts_a_restricted_pod(plane: ControlPlane, helm: Helm) -> None:
    helm.install({}, wait=False)
    assert helm.states() == ["deployed"]
    assert names(plane, "crd") == CRDS
    established(plane)
    plane.kubectl.run("apply", "--server-side", "--filename=-", stdin=SERVICE)
    deadline = time.monotonic() + PATIENCE_S
    while not names(plane, "pods", f"--namespace={NAMESPACE}"):
        assert time.monotonic() < deadline, "the ReplicaSet could not create the operator's pod"
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("values", "inside", "outside"),
    [
        ({}, ("default", "kube-public"), ()),
        ({"watchNamespaces": ["default"]}, ("default",), ("kube-public",)),
    ],
    ids=["in every namespace", "in the namespaces it watches only"],
)
def test_it_may_do_what_the_table_says(
    plane: ControlPlane,
    helm: Helm,
    values: dict[str, object],
    inside: tuple[str, ...],
    outside: tuple[str, ...],
) -> None:
    helm.install(values, wait=False)
    for namespace in inside:
        assert may(plane, "patch", "deployments.apps", namespace)
        assert may(plane, "patch", "llmservices.serving.pointsman.dev/status", namespace)
        assert not may(plane, "get", "secrets", namespace)
        assert not may(plane, "create", "pods/exec", namespace)
        assert not may(plane, "get", "pods/log", namespace)
        assert not may(plane, "update", "llmservices.serving.pointsman.dev", namespace)
    for namespace in outside:
        assert not any(
            may(plane, verb, f"{row.resource}.{row.group}", namespace)
            for row in RBAC[:3]
            for verb in row.verbs
        )


def test_what_the_readme_shows_is_accepted(plane: ControlPlane, helm: Helm) -> None:
    helm.install({}, wait=False)
    established(plane)
    plane.kubectl.try_run("create", "namespace", "team-a")
    shown = [
        text for page in ("README.md", "docs/install.md") for text in manifests_in((ROOT / page).read_text())
    ]
    shown += manifests_in(render({})["NOTES.txt"])
    assert len(shown) >= 3
    for manifest in shown:
        plane.kubectl.run("create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=manifest)


def test_upgraded_it_keeps_its_selector_and_takes_new_values(plane: ControlPlane, helm: Helm) -> None:
    helm.apply({}, wait=False)
    helm.apply({"logLevel": "debug", "podLabels": {"example.com/team": "platform"}}, wait=False)
    assert helm.states() == ["superseded", "deployed"]
    deployment = plane.kubectl.json("get", "deployment", "pointsman", f"--namespace={NAMESPACE}")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {"name": "POINTSMAN_LOG_LEVEL", "value": "debug"} in container["env"]


def test_uninstalled_it_leaves_the_kinds_and_what_was_declared(plane: ControlPlane, helm: Helm) -> None:
    helm.install({}, wait=False)
    plane.kubectl.run("apply", "--server-side", "--filename=-", stdin=SERVICE)
    helm.uninstall()
    assert names(plane, "crd") == CRDS
    assert names(plane, "deployments,serviceaccounts,services,networkpolicies", "--all-namespaces") == set()
    assert names(plane, "clusterroles,clusterrolebindings") == set()
    plane.kubectl.run("get", "llmservice", "chat")
    helm.apply({}, wait=False)
    assert helm.states() == ["deployed"]
    plane.kubectl.run("get", "llmservice", "chat")


def test_told_not_to_keep_them_it_takes_the_kinds_along(plane: ControlPlane, helm: Helm) -> None:
    helm.install({"crds": {"keep": False}}, wait=False)
    # A kind that goes before it was ever served is slow to go: the API server tries again later each time.
    established(plane)
    helm.uninstall()
    assert names(plane, "crd") == set()
