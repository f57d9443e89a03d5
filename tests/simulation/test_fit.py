"""A model that can't fit is refused with the arithmetic before any engine exists; what serves never falls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pointsman.api import names
from tests.pss import violations
from tests.simulation.cluster import Cluster
from tests.simulation.stories import engines, revision_of, rollout, serving

LLAMA_70B = {
    "model_type": "llama",
    "num_hidden_layers": 80,
    "hidden_size": 8192,
    "intermediate_size": 28_672,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "max_position_embeddings": 131_072,
}
LARGE = {"commit": "beef", "bytes": 141 * 10**9, "weights": {"BF16": 70_553_706_496}, "config": LLAMA_70B}
OOM = json.dumps({"reason": "OutOfMemory", "message": "CUDA out of memory: tried to allocate 2.00 GiB"})
OUT_OF_MEMORY = {
    "name": "engine",
    "ready": False,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 1, "message": OOM}},
}
SMALL_FACTS = {
    "parameters": 8_030_261_248,
    "layers": 32,
    "hiddenSize": 4096,
    "attentionHeads": 32,
    "kvHeads": 8,
    "contextLength": 8192,
}


def wanting(
    count: int = 1, memory: str = "80Gi", uri: str = "hf://org/large", fit: str = "", **spec: Any
) -> dict[str, Any]:
    """A service on so many accelerators of so much memory."""
    hardware: dict[str, Any] = {
        "accelerator": {"resource": "nvidia.com/gpu", "count": count},
        "deviceMemory": memory,
    }
    if fit:
        hardware["fit"] = fit
    return {"model": {"source": {"uri": uri}}, "hardware": hardware, **spec}


def engine_pods(cluster: Cluster) -> list[str]:
    """Engine pods that exist."""
    return [
        pod["metadata"]["name"]
        for pod in cluster.all("Pod")
        if pod["metadata"]["labels"].get(names.LABEL_ROLE) == names.ROLE_ENGINE
    ]


def recorded(cluster: Cluster, revision: str) -> dict[str, Any]:
    """What a ControllerRevision keeps of the calculation."""
    kept = cluster.find("ControllerRevision", revision)["metadata"]["annotations"][names.ANNOTATION_FIT]
    return dict(json.loads(kept))


@pytest.fixture
def large(cluster: Cluster) -> Cluster:
    """A cluster whose hub has a model too large for one accelerator."""
    cluster.hub = LARGE
    return cluster


async def test_a_model_too_large_is_refused_before_any_engine_exists(large: Cluster) -> None:
    await large.apply("LLMService", "chat", wanting())
    for _ in range(40):
        await large.round()
        assert engines(large) == []
        assert engine_pods(large) == []
    status, reason, message = large.condition("chat", "ModelFits")
    assert (status, reason) == ("False", "ModelDoesNotFit")
    assert message.startswith(
        "needs 173.9 GiB of the accelerator to start (weights 131.4, one sequence of 131,072 tokens 40.0, "
        "activations 2.1, overhead 0.4); the engine may use 73.6 (80.0 x 92 %). "
        "No context is short enough."
    )
    assert "hardware.fit Advisory" in message
    assert large.condition("chat", "Ready")[:2] == ("False", "ModelDoesNotFit")
    assert large.condition("chat", "Stalled")[:2] == ("True", "ModelDoesNotFit")
    assert large.condition("chat", "Reconciling")[0] == "-"
    kept = recorded(large, revision_of(wanting()))
    assert (kept["fits"], "override" in kept) == (False, False)


async def test_the_page_about_it_quotes_the_message(large: Cluster) -> None:
    await large.apply("LLMService", "chat", wanting(count=2))
    await large.settle()
    page = " ".join((Path(__file__).parents[2] / "docs/fit.md").read_text().split())
    assert large.condition("chat", "ModelFits")[2] in page


async def test_a_refused_service_is_left_alone_once_it_is_told(large: Cluster) -> None:
    await large.apply("LLMService", "chat", wanting())
    await large.settle()
    before = large.kube.store.version
    for _ in range(5):
        await large.round()
    assert large.kube.store.version == before


@pytest.mark.parametrize("strategy", ["Surge", "Recreate"])
async def test_the_old_revision_serves_on_beside_a_refused_one(cluster: Cluster, strategy: str) -> None:
    how: dict[str, Any] = {"rollout": {"strategy": strategy}}
    small = wanting(uri="file:///models/tiny", **how)
    old = await serving(cluster, small)
    cluster.hub = LARGE
    await cluster.apply("LLMService", "chat", wanting(**how))
    await cluster.settle()
    assert engines(cluster) == [old]
    assert cluster.ready_pods(old) == 1
    assert rollout(cluster)["traffic"][0] == {"revision": old, "weight": 100}
    assert cluster.condition("chat", "Available")[0] == "True"
    assert cluster.condition("chat", "Ready")[:2] == ("False", "ModelDoesNotFit")
    await cluster.apply("LLMService", "chat", small)
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert engines(cluster) == [old]


async def test_recreate_gives_way_only_once_the_new_model_is_known_to_fit(cluster: Cluster) -> None:
    how: dict[str, Any] = {"rollout": {"strategy": "Recreate"}}
    old = await serving(cluster, wanting(uri="file:///models/tiny", **how))
    cluster.hub = None
    await cluster.apply("LLMService", "chat", wanting(**how))
    for _ in range(20):
        await cluster.round()
    assert cluster.ready_pods(old) == 1
    cluster.hub = LARGE | {"weights": {"BF16": 10**9}}
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert old not in engines(cluster)


async def test_an_edit_while_the_old_revision_gives_way_takes_nothing_from_the_new_one(
    cluster: Cluster,
) -> None:
    how: dict[str, Any] = {"rollout": {"strategy": "Recreate"}}
    old = await serving(cluster, wanting(uri="file:///models/tiny", **how))
    cluster.hub = LARGE | {"weights": {"BF16": 10**9}}
    await cluster.apply("LLMService", "chat", wanting(**how))
    while rollout(cluster)["step"] != "Draining":
        await cluster.round()
    await cluster.apply("LLMService", "chat", wanting(memory="1Gi", **how))
    await cluster.settle()
    assert engines(cluster) == [rollout(cluster)["stable"]] != [old]
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert cluster.condition("chat", "ModelFits")[:2] == ("False", "ModelDoesNotFit")


MENDED: dict[str, dict[str, Any]] = {
    "larger accelerators, on the revision that was refused": wanting(memory="288Gi"),
    "more accelerators": wanting(count=4),
    "a shorter context on two of them": wanting(count=2, engine={"maxModelLen": 8192}),
    "weights quantised while they're loaded": wanting(
        engine={"quantization": "bitsandbytes", "maxModelLen": 8192}
    ),
}


@pytest.mark.parametrize("spec", MENDED.values(), ids=MENDED)
async def test_what_the_message_advises_helps(large: Cluster, spec: dict[str, Any]) -> None:
    await large.apply("LLMService", "chat", wanting())
    await large.settle()
    await large.apply("LLMService", "chat", spec)
    await large.settle()
    assert large.condition("chat", "ModelFits")[:2] == ("True", "Fits")
    assert large.condition("chat", "Ready")[0] == "True"
    assert large.condition("chat", "Stalled")[0] == "-"


async def test_a_fit_says_how_much_is_held_at_once(large: Cluster) -> None:
    args = {"max-num-seqs": "64"}
    await serving(large, wanting(count=4, engine={"maxModelLen": 8192, "args": args}))
    message = large.condition("chat", "ModelFits")[2]
    assert message.startswith("needs 35.2 GiB of each of 4 accelerators to start")
    assert message.endswith("; the cache holds 62 such sequences at once; max-num-seqs is 64")


@pytest.mark.parametrize("refused_first", [False, True], ids=["from the start", "after it was refused"])
async def test_an_override_starts_it_and_is_recorded(large: Cluster, refused_first: bool) -> None:
    if refused_first:
        await large.apply("LLMService", "chat", wanting())
        await large.settle()
    revision = await serving(large, wanting(fit="Advisory"))
    assert revision == revision_of(wanting())
    assert large.condition("chat", "ModelFits")[:2] == ("False", "FitOverridden")
    assert recorded(large, revision)["override"] == "Advisory"
    assert recorded(large, revision)["needed"] > recorded(large, revision)["budget"]
    events = [event for event in large.all("Event") if event["reason"] == "FitOverridden"]
    assert len(events) == 1
    assert events[0]["type"] == "Warning"
    assert revision in events[0]["note"]


@pytest.mark.parametrize("fit", ["", "Advisory"])
async def test_a_wrong_estimate_gives_way_to_the_engines_own_words(cluster: Cluster, fit: str) -> None:
    spec = wanting(uri="file:///models/small", fit=fit)
    spec["model"]["facts"] = SMALL_FACTS if not fit else {**SMALL_FACTS, "parameters": 10**12}
    cluster.failing[revision_of(spec)] = OUT_OF_MEMORY
    await cluster.apply("LLMService", "chat", spec)
    await cluster.settle()
    assert cluster.condition("chat", "ModelFits")[1] == ("FitOverridden" if fit else "Fits")
    assert cluster.condition("chat", "EngineHealthy")[:2] == ("False", "OutOfMemory")
    status, reason, message = cluster.condition("chat", "Ready")
    assert (status, reason) == ("False", "OutOfMemory")
    assert "CUDA out of memory" in message
    assert cluster.condition("chat", "Stalled")[0] == "-"


async def test_what_serves_stays_when_less_memory_is_declared_later(large: Cluster) -> None:
    revision = await serving(large, wanting(count=4))
    await large.apply("LLMService", "chat", wanting(count=4, memory="24Gi"))
    await large.settle()
    assert engines(large) == [revision]
    status, reason, message = large.condition("chat", "ModelFits")
    assert (status, reason) == ("False", "ModelDoesNotFit")
    assert message.endswith("It was started before that was so, and stays")
    assert large.condition("chat", "Ready")[:2] == ("True", "Answering")
    assert large.condition("chat", "Stalled")[0] == "-"


async def test_what_serves_is_made_anew_when_its_deployment_is_lost(large: Cluster) -> None:
    revision = await serving(large, wanting(count=4))
    await large.apply("LLMService", "chat", wanting(count=4, memory="24Gi"))
    await large.settle()
    await large.delete("Deployment", revision)
    await large.settle()
    assert large.ready_pods(revision) == 1


UNKNOWN: dict[str, tuple[dict[str, Any], str]] = {
    "no accelerator's memory": (
        {
            "model": {"source": {"uri": "file:///m"}},
            "hardware": {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}},
        },
        "hardware.deviceMemory isn't declared",
    ),
    "no accelerator": ({"model": {"source": {"uri": "file:///m"}}}, "hardware.deviceMemory isn't declared"),
    "no facts": (wanting(uri="file:///m"), "declare model.facts.parameters"),
    "weights alone": (
        wanting(uri="file:///m")
        | {"model": {"source": {"uri": "file:///m"}, "facts": {"parameters": 10**9}}},
        "of the cache too little is known",
    ),
    "an argument that isn't counted": (
        wanting(uri="file:///m", engine={"args": {"kv-cache-memory-bytes": "1000"}}),
        "engine.args[kv-cache-memory-bytes] isn't part of the calculation",
    ),
}


@pytest.mark.parametrize(("spec", "message"), UNKNOWN.values(), ids=UNKNOWN)
async def test_what_is_not_known_refuses_nothing(
    cluster: Cluster, spec: dict[str, Any], message: str
) -> None:
    await serving(cluster, spec)
    status, reason, said = cluster.condition("chat", "ModelFits")
    assert (status, reason) == ("Unknown", "FitUnknown")
    assert message in said


async def test_facts_of_an_llmmodel_are_taken_up_without_a_new_revision(cluster: Cluster) -> None:
    source = {"source": {"uri": "file:///models/small"}}
    await cluster.apply("LLMModel", "small", {**source, "facts": {**SMALL_FACTS, "parameters": 10**12}})
    spec = {**wanting(), "modelRef": {"name": "small"}}
    del spec["model"]
    await cluster.apply("LLMService", "chat", spec)
    await cluster.settle()
    assert cluster.condition("chat", "ModelFits")[1] == "ModelDoesNotFit"
    refused = rollout(cluster)["candidate"]
    await cluster.apply("LLMModel", "small", {**source, "facts": SMALL_FACTS})
    await cluster.settle()
    assert cluster.condition("chat", "ModelFits")[1] == "Fits"
    assert rollout(cluster)["stable"] == refused


async def test_declared_facts_go_before_those_that_were_found(large: Cluster) -> None:
    spec = wanting()
    spec["model"] = {**spec["model"], "facts": {"parameters": 10**9, "contextLength": 8192}}
    await serving(large, spec)
    assert "weights 1.9, one sequence of 8,192 tokens 2.5" in large.condition("chat", "ModelFits")[2]


async def test_a_claim_is_read_for_the_calculation(large: Cluster) -> None:
    spec = wanting(uri="pvc://models/large", fit="Advisory")
    spec["hardware"]["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    await large.apply("LLMService", "chat", spec)
    await large.round()
    job = large.find("Job", names.resolve_name(revision_of(spec)))["spec"]
    pod = job["template"]["spec"]
    assert violations(pod) == []
    assert pod["volumes"][1] == {
        "name": "weights",
        "persistentVolumeClaim": {"claimName": "models", "readOnly": True},
    }
    assert {"name": "POINTSMAN_MODEL_DIR", "value": "/weights/large"} in pod["containers"][0]["env"]
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert (job["backoffLimit"], job["activeDeadlineSeconds"]) == (0, 120)
    await large.settle()
    assert large.all("Job") == []
    frozen = large.find("ControllerRevision", revision_of(spec))["data"]["facts"]
    assert frozen == {"weights": LARGE["weights"], "config": LLAMA_70B}
    assert large.condition("chat", "ModelFits")[1] == "FitOverridden"


async def test_a_claim_that_cannot_be_read_refuses_nothing(large: Cluster) -> None:
    large.hub = {"reason": "WeightsNotFound", "message": "/weights/large isn't there"}
    await serving(large, wanting(uri="pvc://models/large"))
    assert large.condition("chat", "ModelFits")[:2] == ("Unknown", "FitUnknown")
    assert large.all("Job") == []


@pytest.mark.parametrize(
    "changes",
    [{"hardware": {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}}}, {"facts": SMALL_FACTS}],
    ids=["no accelerator's memory", "declared facts"],
)
async def test_a_claim_is_not_read_for_nothing(cluster: Cluster, changes: dict[str, Any]) -> None:
    spec = wanting(uri="pvc://models/small")
    if "facts" in changes:
        spec["model"]["facts"] = changes["facts"]
    else:
        spec |= changes
    await cluster.apply("LLMService", "chat", spec)
    await cluster.round()
    assert cluster.all("Job") == []
