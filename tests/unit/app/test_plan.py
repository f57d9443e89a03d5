"""`pointsman plan`: what is said of each change to a service that runs in the twin, and that nothing is done.

What is printed is compared with the files in `drawn`; POINTSMAN_REDRAW=1 writes them.
"""

from __future__ import annotations

import io
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pointsman.api import names
from pointsman.app import plan_command
from pointsman.app.debug import Failed
from pointsman.app.main import main
from pointsman.app.screen import Screen
from tests.simulation.cluster import NAMESPACE, SETTINGS, Cluster
from tests.simulation.stories import CHAT, serving

DRAWN = Path(__file__).parent / "drawn"
Json = dict[str, Any]
GPU = {"hardware": {"accelerator": {"resource": "nvidia.com/gpu", "count": 2}}}
LONGER = {"engine": {"maxModelLen": 4096}}
TWO = {**CHAT, **GPU, "replicas": 2}
EXPERIMENT = {
    **CHAT,
    "promptRef": {"name": "v1"},
    "experiment": {"promptRef": {"name": "v2"}, "weight": 30, "metrics": [{"metric": "feedbackScore"}]},
}
ALIKE = {"rollout": {"equivalence": {"prompts": ["Hello"]}}}
CASES = [{"name": "a", "messages": [{"role": "user", "content": "a"}], "assertions": [{"exact": "b"}]}]
LARGE = {
    "model": {"source": {"uri": "file:///models/large"}, "facts": {"parameters": 70_000_000_000}},
    "hardware": {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}, "deviceMemory": "24Gi"},
}


def manifest(spec: Json, name: str = "chat", kind: str = "LLMService") -> Json:
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


async def planned(cluster: Cluster, *manifests: Json) -> tuple[int, str]:
    out, version = io.StringIO(), cluster.kube.store.version
    shown = Screen(out, colour=False, redraws=False)
    code = await plan_command.plan(
        cluster.kube, cluster.routers, SETTINGS, manifests, NAMESPACE, shown, lambda: cluster.now
    )
    assert cluster.kube.store.version == version, "a plan changes nothing"
    return code, out.getvalue()


async def add_node(cluster: Cluster, gpus: int) -> None:
    status = {"allocatable": {"nvidia.com/gpu": str(gpus)}}
    obj = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, "status": status}
    cluster.kube.store.insert(("", "Node", "", "a"), obj, {})


async def running(spec: Json = CHAT, gpus: int = 0) -> Cluster:
    cluster = Cluster()
    if gpus:
        await add_node(cluster, gpus)
    await serving(cluster, spec)
    return cluster


async def moving() -> Cluster:
    """A change is on its way, and its engines don't come up."""
    cluster = await running(TWO)
    cluster.accelerators = 0
    await cluster.apply("LLMService", "chat", {**TWO, **LONGER})
    await cluster.settle()
    return cluster


def said(text: str) -> Json:
    return {"messages": [{"role": "system", "content": text}]}


async def prompted() -> Cluster:
    """A service that answers by one prompt, and another prompt beside it."""
    cluster = Cluster()
    for name in ("v1", "v2"):
        await cluster.apply("PromptVersion", name, said(f"Answer by {name}."))
    await serving(cluster, {**CHAT, "promptRef": {"name": "v1"}})
    return cluster


async def compared() -> Cluster:
    """An experiment between its prompts is under way."""
    cluster = await prompted()
    await cluster.apply("LLMService", "chat", EXPERIMENT)
    await cluster.settle()
    return cluster


async def rejected() -> Cluster:
    """A candidate was tried and failed."""
    cluster = await running({**CHAT, **ALIKE})
    cluster.trial = {"passed": False, "equivalence": {"prompts": 1, "agreed": 0, "neededPercent": 100}}
    await cluster.apply("LLMService", "chat", {**CHAT, **LONGER, **ALIKE})
    await cluster.settle()
    return cluster


async def with_model() -> Cluster:
    cluster = Cluster()
    await cluster.apply("LLMModel", "shared", CHAT["model"])
    await serving(cluster, {"modelRef": {"name": "shared"}})
    return cluster


async def awaiting_prompt() -> Cluster:
    """Two services, of which one is to answer by a prompt that isn't there."""
    cluster = await prompted()
    await serving(cluster, {**CHAT, "promptRef": {"name": "v2"}}, "other")
    await cluster.apply("LLMService", "chat", {**CHAT, "promptRef": {"name": "v3"}})
    await cluster.settle()
    return cluster


async def tested() -> Cluster:
    """Two services whose candidates pass a suite, and one that has none."""
    cluster = Cluster()
    await cluster.apply("PromptSuite", "support", {"cases": [{"name": "b", "assertions": [{"exact": "b"}]}]})
    cluster.trial = {"passed": True, "suite": {"cases": 1, "failed": 0, "failing": []}}
    for name in ("chat", "other"):
        await serving(cluster, {**CHAT, "rollout": {"suiteRef": {"name": "support"}}}, name)
    await serving(cluster, CHAT, "untested")
    return cluster


async def nothing() -> Cluster:
    return Cluster()


Setup = Callable[[], Awaitable[Cluster]]
OTHER = {"source": {"uri": "file:///models/other"}}
PLANS: dict[str, tuple[Setup, list[Json], int]] = {
    "plan-nothing": (running, [manifest(CHAT)], 0),
    "plan-live": (running, [manifest({**CHAT, "modelNames": ["chat", "support"]})], 0),
    "plan-surge": (lambda: running(TWO, gpus=7), [manifest({**TWO, **LONGER})], 0),
    "plan-recreate": (
        lambda: running(TWO, gpus=4),
        [manifest({**TWO, **LONGER, "rollout": {"strategy": "Recreate"}, "drainSeconds": 60})],
        0,
    ),
    "plan-scale": (lambda: running(TWO), [manifest({**TWO, "replicas": 4})], 0),
    "plan-scaled-by-others": (lambda: running(TWO), [manifest({**CHAT, **GPU, **LONGER})], 0),
    "plan-first": (nothing, [manifest({**CHAT, **GPU})], 0),
    "plan-remote": (running, [manifest({"model": {"source": {"uri": "hf://org/name"}}})], 0),
    "plan-does-not-fit": (running, [manifest(LARGE)], 1),
    "plan-back": (moving, [manifest(TWO)], 0),
    "plan-again": (moving, [manifest({**TWO, "engine": {"maxModelLen": 8192}})], 0),
    "plan-rejected": (rejected, [manifest({**CHAT, **LONGER, **ALIKE})], 1),
    "plan-tried": (running, [manifest({**CHAT, **LONGER, **ALIKE})], 0),
    "plan-canary": (
        lambda: running(TWO),
        [manifest({**TWO, **LONGER, "rollout": {"strategy": "Canary"}})],
        0,
    ),
    "plan-blue-green": (
        lambda: running(TWO),
        [manifest({**TWO, **LONGER, "rollout": {"strategy": "BlueGreen", "approval": "Manual"}})],
        0,
    ),
    "plan-prompt": (prompted, [manifest({**CHAT, "promptRef": {"name": "v2"}})], 0),
    "plan-prompt-not-compared": (
        prompted,
        [manifest({**CHAT, **ALIKE, "promptRef": {"name": "v2"}})],
        0,
    ),
    "plan-new-prompt": (
        prompted,
        [manifest(said("So it is."), "v3", "PromptVersion"), manifest({**CHAT, "promptRef": {"name": "v3"}})],
        0,
    ),
    "plan-suite-of-another-family": (
        prompted,
        [
            manifest({**said("So it is."), "family": "sales"}, "v3", "PromptVersion"),
            manifest({"family": "support", "cases": CASES}, "support", "PromptSuite"),
            manifest({**CHAT, "promptRef": {"name": "v3"}, "rollout": {"suiteRef": {"name": "support"}}}),
        ],
        1,
    ),
    "plan-unused": (
        prompted,
        [
            manifest(said("So it is."), "v3", "PromptVersion"),
            manifest({"cases": CASES}, "support", "PromptSuite"),
            manifest(OTHER, "unused", "LLMModel"),
        ],
        0,
    ),
    "plan-prompt-that-was-missing": (
        awaiting_prompt,
        [manifest(said("So it is."), "v3", "PromptVersion")],
        0,
    ),
    "plan-suite": (tested, [manifest({"cases": CASES}, "support", "PromptSuite")], 0),
    "plan-router": (running, [manifest({"replicas": 3}, "default", "LLMRouter"), manifest(CHAT)], 0),
    "plan-no-prompt": (prompted, [manifest({**CHAT, "promptRef": {"name": "v9"}})], 1),
    "plan-experiment": (prompted, [manifest(EXPERIMENT)], 0),
    "plan-no-experiment": (compared, [manifest({**CHAT, "promptRef": {"name": "v1"}})], 0),
    "plan-under-way": (moving, [manifest({**TWO, **LONGER, "rollout": {"strategy": "Recreate"}})], 0),
    "plan-scale-down": (lambda: running(TWO), [manifest({**TWO, "replicas": 1})], 0),
    "plan-short-of-room": (lambda: running(TWO, gpus=3), [manifest({**TWO, **LONGER})], 0),
    "plan-missing": (running, [manifest({"modelRef": {"name": "nowhere"}})], 1),
    "plan-paused": (running, [manifest({**CHAT, **LONGER, "paused": True})], 0),
    "plan-model": (with_model, [manifest(OTHER, "shared", "LLMModel")], 0),
    "plan-together": (
        nothing,
        [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}},
            manifest(OTHER, "new", "LLMModel"),
            manifest({"modelRef": {"name": "new"}}),
        ],
        0,
    ),
}


@pytest.mark.parametrize("name", PLANS)
async def test_a_plan_says(name: str) -> None:
    setup, manifests, expected = PLANS[name]
    code, text = await planned(await setup(), *manifests)
    path = DRAWN / f"{name}.txt"
    if os.environ.get("POINTSMAN_REDRAW"):
        path.write_text(text)
    assert text == path.read_text()
    assert code == expected


async def test_a_plan_is_what_then_happens() -> None:
    cluster = await running(TWO)
    _, text = await planned(cluster, manifest({**TWO, **LONGER}))
    await cluster.apply("LLMService", "chat", {**TWO, **LONGER})
    await cluster.settle()
    stable = cluster.find("LLMService", "chat")["status"]["rollout"]["stable"]
    assert f"{stable} is to take the place of" in text


WITHOUT_SERVICE = {
    "nothing": [],
    "nothing of ours": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}}],
    "a router": [manifest({}, "default", "LLMRouter")],
}


@pytest.mark.parametrize("manifests", WITHOUT_SERVICE.values(), ids=WITHOUT_SERVICE)
async def test_a_manifest_without_a_service_has_no_plan(manifests: list[Json]) -> None:
    with pytest.raises(Failed, match="holds no LLMService"):
        await planned(Cluster(), *manifests)


def test_lists_and_several_documents_are_taken_apart() -> None:
    several = yaml.safe_dump_all([{"kind": "List", "items": [manifest(CHAT), manifest(CHAT, "b")]}, None])
    assert [one["metadata"]["name"] for one in plan_command.read(several)] == ["chat", "b"]


UNREADABLE = {
    "no YAML": ("a: [", "the manifest can't be read"),
    "a word": ("word", "no Kubernetes object"),
    "no kind": ("metadata: {}", "no Kubernetes object"),
    "another group": ("{kind: LLMService, apiVersion: v1, metadata: {name: a}}", "no Kubernetes object"),
    "no name": (
        f"{{kind: LLMService, apiVersion: {names.API_VERSION}, metadata: {{}}}}",
        "no Kubernetes object",
    ),
}


@pytest.mark.parametrize(("text", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_manifest_that_can_not_be_read_says_so(text: str, said: str) -> None:
    with pytest.raises(Failed, match=said):
        plan_command.read(text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml can't be read" in capsys.readouterr().err
