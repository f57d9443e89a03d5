"""O14: whatever a spec can say has an effect: a child, the routers' configuration, a condition."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import pytest

from pointsman.api import names
from tests.simulation import specs
from tests.simulation.cluster import Cluster
from tests.simulation.leaves import BASES, Path, changed, effects, leaves
from tests.simulation.leaves_experiment import EXPERIMENTS
from tests.simulation.leaves_experiment import story as experiment
from tests.simulation.leaves_judged import JUDGED, story
from tests.simulation.stories import CHAT

WITHOUT_EFFECT: dict[tuple[str, Path], str] = {
    ("LLMService", ("engine", "type")): "there is one engine, so nothing else is accepted",
    ("PromptVersion", ("format",)): "there is one format, so nothing else is accepted",
}
"""Leaves that change nothing, and why that's right."""

IN_A_CHANGE = {
    ("LLMService", ("rollout", "strategy")): [{"rollout": {"strategy": s}} for s in ("Surge", "Recreate")],
    ("LLMService", ("rollout", "suiteRef", "name")): [
        {"rollout": {"suiteRef": {"name": name}}} for name in ("support", "missing")
    ],
    ("LLMService", ("rollout", "equivalence", "prompts", "[]")): [
        {"rollout": {"equivalence": {"prompts": [text]}}} for text in ("a", "b")
    ],
    ("LLMService", ("rollout", "equivalence", "variables", "[]", "name")): [
        {"rollout": {"equivalence": {"prompts": ["a"], "variables": [{"name": name, "value": "1"}]}}}
        for name in ("days", "years")
    ],
    ("LLMService", ("rollout", "equivalence", "variables", "[]", "value")): [
        {"rollout": {"equivalence": {"prompts": ["a"], "variables": [{"name": "days", "value": value}]}}}
        for value in ("1", "2")
    ],
    ("LLMService", ("rollout", "equivalence", "minAgreementPercent")): [
        {"rollout": {"equivalence": {"prompts": ["a"], "minAgreementPercent": percent}}}
        for percent in (90, 95)
    ],
}
"""Leaves that matter while something changes."""

LATER = {*IN_A_CHANGE, *JUDGED, *EXPERIMENTS}
"""Leaves of which the first passes show nothing."""

EVERY = [(kind, path) for kind in specs.MODELS for path in leaves(kind)]


@functools.cache
def follows(kind: str, spec: str) -> str:
    return effects(kind, json.loads(spec))


def differ(kind: str, path: Path) -> bool:
    """Whether any pair of specs that differ in a leaf leads to different things."""
    for before, after in changed(kind, path, leaves(kind)[path]):
        if follows(kind, json.dumps(before)) != effects(kind, after):
            return True
    return False


@pytest.mark.parametrize(("kind", "path"), EVERY, ids=lambda it: it if isinstance(it, str) else "/".join(it))
def test_a_leaf_has_an_effect(kind: str, path: Path) -> None:
    if (kind, path) in WITHOUT_EFFECT or (kind, path) in LATER:
        assert not differ(kind, path), "it has an effect: take it off the list"
        return
    assert list(changed(kind, path, leaves(kind)[path])), (
        "no base holds this leaf, or no other value is accepted"
    )
    assert differ(kind, path)


@pytest.mark.parametrize("given", IN_A_CHANGE.values(), ids=["/".join(path) for _, path in IN_A_CHANGE])
async def test_a_leaf_matters_while_something_changes(given: list[dict[str, Any]]) -> None:
    before, after = [await timeline({**CHAT, **spec}) for spec in given]
    assert before != after


@pytest.mark.parametrize("pair", JUDGED.values(), ids=["/".join(path) for _, path in JUDGED])
async def test_a_leaf_matters_while_a_change_is_judged(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    for rollout in pair:
        assert specs.refusal("LLMService", {**CHAT, "rollout": rollout}) == ""
    before, after = [await story(rollout) for rollout in pair]
    assert before != after


@pytest.mark.parametrize("pair", EXPERIMENTS.values(), ids=["/".join(path) for _, path in EXPERIMENTS])
async def test_a_leaf_matters_to_an_experiment(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    for declared in pair:
        assert specs.refusal("LLMService", {**CHAT, "experiment": declared}) == ""
    before, after = [await experiment(declared) for declared in pair]
    assert before != after


async def timeline(spec: dict[str, Any]) -> list[str]:
    """What a change of something else looks like, round by round."""
    cluster, seen = Cluster(), []
    cases = [{"name": "a", "assertions": [{"exact": "b"}]}]
    await cluster.apply("PromptSuite", "support", {"cases": cases})
    await cluster.apply("LLMService", "chat", spec)
    await cluster.settle()
    await cluster.apply("LLMService", "chat", {**spec, "drainSeconds": 7})
    for _ in range(12):
        await cluster.round()
        engines = [
            d for d in cluster.all("Deployment") if d["metadata"]["labels"][names.LABEL_ROLE] == "engine"
        ]
        rollout = cluster.find("LLMService", "chat")["status"]["rollout"]
        asked = [one["data"] for one in cluster.all("ConfigMap") if "data" in one]
        seen.append(f"{len(engines)} {rollout['step']} {asked}")
    return seen


def test_the_bases_are_accepted() -> None:
    for kind, bases in BASES.items():
        for base in bases:
            assert specs.refusal(kind, base) == ""


def test_a_refused_engine_type_is_the_only_other_one() -> None:
    assert leaves("LLMService")["engine", "type"]["enum"] == ["vLLM"]
    assert re.search("vLLM", specs.refusal("LLMService", {**CHAT, "engine": {"type": "other"}}))
