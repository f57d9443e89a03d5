"""O9: what the schema accepts, a decision handles, in any world; and the status it gives can be stored."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given

from pointsman.api import sealing
from pointsman.app import debug_record
from pointsman.core.world import ModelWorld, PromptWorld, RouterWorld, ServiceWorld, SuiteWorld
from tests.simulation import specs, surroundings
from tests.simulation.examples import some

Json = dict[str, Any]


def handled(world: debug_record.World, kind: str) -> Json:
    """Decides, and holds the decision against what must be true of any."""
    decision = debug_record.decide(world)
    assert debug_record.decide(world) == decision, "deterministic"
    named = [(child["kind"], child["metadata"]["name"]) for child in decision["desired"]]
    assert len(set(named)) == len(named), "each object once"
    status = decision["status"]
    if status is not None:
        subject = {"metadata": {"name": "chat"}, "spec": {"model": {"source": {"uri": "file:///m"}}}}
        specs.MODELS[kind].model_validate({**subject, "spec": SPECS[kind], "status": status})
        said = {condition["type"]: condition for condition in status.get("conditions", ())}
        assert said["Ready"]["status"] == "True" or said["Ready"]["reason"], "status explains"
        assert len(said) == len(status.get("conditions", ()))
    written = json.loads(json.dumps(debug_record.dump_world(world)))
    assert debug_record.decide(debug_record.load_world(kind, written)) == decision, "replays"
    sealed = debug_record.decide(debug_record.load_world(kind, sealing.seal(written)))
    assert sealed == sealing.seal(decision), "replays sealed"
    return decision


SPECS: dict[str, Json] = {
    "LLMService": {"model": {"source": {"uri": "file:///m"}}},
    "LLMModel": {"source": {"uri": "file:///m"}},
    "LLMRouter": {},
    "PromptVersion": {"messages": [{"role": "user", "content": "Hello."}]},
    "PromptSuite": {"cases": [{"name": "one", "assertions": [{"contains": "a"}]}]},
}


@some(50)
@given(world=surroundings.service_worlds())
def test_any_service_in_any_world_is_decided(world: ServiceWorld) -> None:
    handled(world, "LLMService")


@some(50)
@given(world=surroundings.router_worlds())
def test_any_router_in_any_world_is_decided(world: RouterWorld) -> None:
    handled(world, "LLMRouter")


@some(30)
@given(world=surroundings.model_worlds())
def test_any_model_in_any_world_is_decided(world: ModelWorld) -> None:
    decision = handled(world, "LLMModel")
    assert decision["desired"] == []


@some(50)
@given(world=surroundings.prompt_worlds())
def test_any_prompt_in_any_world_is_decided(world: PromptWorld) -> None:
    decision = handled(world, "PromptVersion")
    assert decision["desired"] == []


@some(50)
@given(world=surroundings.suite_worlds())
def test_any_suite_in_any_world_is_decided(world: SuiteWorld) -> None:
    decision = handled(world, "PromptSuite")
    assert decision["desired"] == []
