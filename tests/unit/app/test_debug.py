"""`pointsman debug`: what is recorded, what a replay says, and what is said where something is missing."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pointsman.api import names
from pointsman.app import debug
from pointsman.app import settings as app_settings
from pointsman.app.main import main
from pointsman.engine import looking
from pointsman.kube.twin import MemoryKube
from tests.contract.manifests import FULL
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.stories import CHAT, serving

RECORDED = Path(__file__).parent / "recorded"
ENVIRON = {
    "POINTSMAN_ROUTER_IMAGE": "registry.test/router:1",
    "POINTSMAN_RESOLVE_IMAGE": "registry.test/operator:1",
    "POINTSMAN_ENGINE_IMAGES": '{"cpu": "registry.test/cpu:{version}"}',
}
KEY = names.Key("LLMService", NAMESPACE, "chat")
Json = dict[str, Any]


async def recorded(cluster: Cluster, key: names.Key = KEY) -> Json:
    settings = app_settings.read(ENVIRON)
    return await debug.record(cluster.kube, cluster.routers, settings, key)


def filed(tmp_path: Path, document: Mapping[str, Any]) -> str:
    path = tmp_path / "recorded.json"
    path.write_text(json.dumps(document))
    return str(path)


async def test_what_is_recorded_is_decided_again_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster()
    await serving(cluster)
    file = await recorded(cluster)
    assert (file["kind"], file["notes"]) == ("LLMService", [])
    assert await asyncio.to_thread(main, ["debug", "replay", filed(tmp_path, file)]) == 0
    assert capsys.readouterr().out.startswith("same decision (recorded by version 0.")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("LLMRouter", "default"), ("LLMModel", "shared"), ("PromptVersion", "v1"), ("PromptSuite", "tests")],
)
async def test_every_kind_is_recorded(kind: str, name: str) -> None:
    cluster = Cluster()
    await cluster.apply("PromptVersion", "v1", FULL[names.PROMPTVERSION])
    await cluster.apply("PromptSuite", "tests", FULL[names.PROMPTSUITE])
    await cluster.apply("LLMModel", "shared", CHAT["model"])
    await serving(cluster, {"modelRef": {"name": "shared"}})
    file = await recorded(cluster, names.Key(kind, NAMESPACE, name))
    assert debug.replay(json.dumps(file)) == 0


async def test_a_file_has_the_hash_that_the_log_line_of_the_pass_has() -> None:
    cluster = Cluster()
    await serving(cluster)
    found = await looking.whole(cluster.reconciler.gatherer, KEY, cluster.now)
    assert found is not None
    report = await cluster.reconciler.reconcile(KEY)
    assert looking.fingerprint(found.decision) == report.decision


async def test_routers_that_are_out_of_reach_are_named() -> None:
    class OutOfReach:
        async def read(self, addresses: list[str]) -> list[Any]:
            return [{"address": a, "reachable": False, "body": {}} for a in addresses]

    cluster = Cluster()
    await serving(cluster)
    signals: Any = OutOfReach()
    file = await debug.record(cluster.kube, signals, app_settings.read(ENVIRON), KEY)
    assert [note.split(":")[0] for note in file["notes"]] == [
        "no answer from the admin ports of routers at default"
    ]
    assert "kubectl exec" in file["notes"][0]


def test_another_versions_decision_is_told_in_words_that_name_objects(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["debug", "replay", str(RECORDED / "older-version.json")]) == 1
    told = capsys.readouterr().out
    assert "recorded by version 0.0.9, replayed by version 0." in told
    for line in (
        "desired[Deployment chat-974d9b9d].spec.replicas: 2 became 1",
        "desired[PodDisruptionBudget chat-engine].spec.minAvailable: removed 1",
        "desired[PodDisruptionBudget chat-engine].spec.maxUnavailable: added 1",
        'status.conditions[Ready].reason: "Older" became "Answering"',
    ):
        assert line in told, told


UNUSABLE = {
    "no JSON": ("pointsman", "no recorded decision"),
    "no record": ("{}", "no recorded decision: KeyError: 'version'"),
    "another kind": (
        '{"version": "1", "kind": "Pod", "world": {}, "decision": {}}',
        "kind 'Pod' is none of LLMService, LLMRouter, LLMModel, PromptVersion, PromptSuite",
    ),
    "a World that breaks today's rules": (
        '{"version": "1", "kind": "LLMModel", "world": {"now": "2026-01-01T00:00:00Z", "model": {}}, '
        '"decision": {}}',
        "can't read its world: model.metadata: Field required",
    ),
}


@pytest.mark.parametrize(("text", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_file_that_cant_be_read_is_no_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    assert main(["debug", "replay", str(path)]) == 2
    assert says in capsys.readouterr().err
    assert main(["debug", "replay", str(tmp_path / "nowhere")]) == 2


@pytest.mark.parametrize("kind", ["LLMService", "LLMRouter", "LLMModel", "PromptVersion"])
async def test_an_object_that_isnt_there_is_said_to_be_missing(kind: str) -> None:
    with pytest.raises(debug.Failed, match=f"no {kind} 'chat' in namespace 'team-a'"):
        await recorded(Cluster(), names.Key(kind, NAMESPACE, "chat"))


async def test_the_router_that_is_made_on_demand_is_decided_about_before_it_exists() -> None:
    file = await recorded(Cluster(), names.Key("LLMRouter", NAMESPACE, "default"))
    assert file["decision"]["because"] == "no such router, and nobody needs one on demand"


async def test_an_object_that_breaks_todays_rules_is_said_to_do_so() -> None:
    cluster = Cluster()
    await cluster.apply("LLMService", "chat", {})
    with pytest.raises(debug.Failed, match=r"LLMService can't be read: spec: .*exactly one of spec.model"):
        await recorded(cluster)


def deployment(name: str, **environ: str) -> Json:
    labels = {"app.kubernetes.io/name": "pointsman", "app.kubernetes.io/component": "operator"}
    env: list[Json] = [{"name": key, "value": value} for key, value in environ.items()]
    env.append(
        {"name": "POINTSMAN_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "ops", "labels": labels},
        "spec": {"template": {"spec": {"containers": [{"name": "operator", "env": env}]}}},
    }


async def test_elsewhere_the_settings_are_those_of_the_operators_deployment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("POINTSMAN_ROUTER_IMAGE", raising=False)
    kube = MemoryKube()
    with pytest.raises(debug.Failed, match="0 Deployments in namespace 'ops'"):
        await debug.settings_of(kube, "ops")
    await kube.create(deployment("pointsman", **ENVIRON), manager="helm")
    found = await debug.settings_of(kube, "ops")
    assert (found.router_image, found.namespace) == ("registry.test/router:1", "ops")


async def test_in_the_pod_the_settings_are_the_processs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    assert (await debug.settings_of(MemoryKube(), "ops")).router_image == "registry.test/router:1"


KUBECONFIGS = {
    "the one that is named": ("mine", {"KUBECONFIG": "other"}, "mine"),
    "a pod's own account": ("", {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBECONFIG": "other"}, ""),
    "kubectl's": ("", {"KUBECONFIG": "other"}, "other"),
    "kubectl's usual one": ("", {}, "~/.kube/config"),
}


@pytest.mark.parametrize(("named", "environ", "expected"), KUBECONFIGS.values(), ids=KUBECONFIGS)
def test_it_looks_where_kubectl_looks(
    monkeypatch: pytest.MonkeyPatch, named: str, environ: dict[str, str], expected: str
) -> None:
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "POINTSMAN_KUBECONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "environ", {**os.environ, **environ})
    assert debug.kubeconfig_of(named) == expected


def test_a_cluster_that_cant_be_found_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["debug", "world", "chat", "--kubeconfig", "/nowhere/config"]) == 2
    assert "kubeconfig /nowhere/config" in capsys.readouterr().err


def test_without_an_operator_there_is_no_queue() -> None:
    with pytest.raises(debug.Failed, match="run it in the operator's pod"):
        debug.queue(1)
