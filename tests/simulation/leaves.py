"""O14: every leaf of every spec, another value for it, and what follows from a spec by itself.

What follows is looked for in the first few passes of an empty namespace, without a cluster: children, the
routers' configuration, conditions. Where that shows nothing, a whole story has to (`test_leaves`).
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from pointsman.api import names
from pointsman.api.kinds import KINDS
from pointsman.api.model import LLMModel
from pointsman.api.prompt import PromptVersion
from pointsman.api.prompt_suite import PromptSuite
from pointsman.api.router import LLMRouter
from pointsman.api.service import LLMService
from pointsman.app.debug_record import dump_decision
from pointsman.core import model as model_core
from pointsman.core import prompt as prompt_core
from pointsman.core import router as router_core
from pointsman.core import service as service_core
from pointsman.core import suite as suite_core
from pointsman.core.world import Missing, ModelWorld, PromptWorld, RouterWorld, ServiceWorld, SuiteWorld
from tests.contract.manifests import FULL
from tests.simulation import specs
from tests.simulation.worlds import PROXIED
from tests.unit.core.build import metadata

Json = dict[str, Any]
Path = tuple[str, ...]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EACH: Final = "[]"
RESOURCES: Final = {row.resource.kind: row.resource for row in KINDS}

_SERVICE = {name: value for name, value in FULL[RESOURCES["LLMService"]].items() if name != "experiment"}
"""An experiment begins long after the first passes."""
_MODEL = _SERVICE["model"]
_FITTING = {**_SERVICE["hardware"], "deviceMemory": "80Gi", "fit": "Required"}


def _with(spec: Json, **changes: Any) -> Json:
    """A copy with fields replaced; None leaves one out."""
    merged = {**copy.deepcopy(spec), **changes}
    return {name: value for name, value in merged.items() if value is not None}


_FACTS = _MODEL["facts"]
_MLA = _with(_FACTS, kvHeads=None, headSize=None, kvLoraRank=512, ropeHeadSize=64)
_EXPERTS = _with(_FACTS, parameters=60_000_000_000, experts=128, expertSize=768, expertsPerToken=8)
_SLIDING = _with(_FACTS, slidingWindow=4096, slidingLayers=18)
_OF_HEADS = _with(_FACTS, kvHeads=None, headSize=None)
_QUANTISED = _with(_FACTS, dtype="int4")
_NARROW = _with(_FACTS, vocabularySize=None)
_LARGE = _with(_FACTS, parameters=10**12)
_EVERY = (_FACTS, _MLA, _EXPERTS, _SLIDING, _OF_HEADS, _QUANTISED, _NARROW, _LARGE)
"""Facts of which each matters somewhere: to the cache, to weights, to activations, to whether it fits."""
_COPIES = {"tensor": 2, "data": 2}
_BARE = {"source": _MODEL["source"]}

BASES: Final[dict[str, tuple[Json, ...]]] = {
    "LLMService": (
        _SERVICE,
        _with(_SERVICE, engine=_with(_SERVICE["engine"], image=None, version="0.32.0")),
        _with(_SERVICE, model=None, modelRef={"name": "shared"}),
        _with(_SERVICE, parallelism=None),
        *(
            _with(
                _SERVICE,
                hardware=_FITTING,
                model=_with(_MODEL, facts=facts),
                engine=_with(_SERVICE["engine"], maxModelLen=None, args=None),
            )
            for facts in _EVERY
        ),
        _with(
            _SERVICE, hardware=_FITTING, model=_with(_MODEL, facts=_EXPERTS), parallelism=_COPIES, engine=None
        ),
        _with(_SERVICE, model=_with(_MODEL, proof=[{"name": "a", "prompt": "b", "answer": {"exact": "c"}}])),
    ),
    "LLMModel": (
        _MODEL,
        *(_with(_MODEL, facts=facts) for facts in _EVERY),
        _with(_MODEL, proof=[{"name": "a", "prompt": "b", "answer": {"exact": "c"}}]),
    ),
    "LLMRouter": (FULL[RESOURCES["LLMRouter"]],),
    "PromptVersion": (FULL[RESOURCES["PromptVersion"]],),
    "PromptSuite": (FULL[RESOURCES["PromptSuite"]],),
}
"""Specs that between them hold every leaf."""

_SPLIT = {"tensor": 2, "pipeline": 2, "data": 1}
_SPLITS: Mapping[str, Json] = {
    "tensor": {**_SPLIT, "tensor": 1, "data": 2},
    "pipeline": {**_SPLIT, "pipeline": 1, "data": 2},
    "data": {"tensor": 2, "pipeline": 1, "data": 2},
}
TOGETHER: Final[dict[tuple[str, Path], tuple[Json, Json]]] = {
    ("LLMService", ("parallelism", name)): (
        _with(_SERVICE, parallelism=_SPLIT),
        _with(_SERVICE, parallelism=other),
    )
    for name, other in _SPLITS.items()
}
"""Leaves that no rule lets change alone: two specs that differ in them."""


def leaves(kind: str) -> dict[Path, Json]:
    """Every leaf of a kind's spec with its schema; a map of values is one."""
    return dict(_leaves(specs.schema_of(kind), ()))


def _leaves(schema: Json, path: Path) -> Iterator[tuple[Path, Json]]:
    if "properties" in schema:
        for name, field in schema["properties"].items():
            yield from _leaves(field, (*path, name))
    elif "items" in schema:
        yield from _leaves(schema["items"], (*path, EACH))
    else:
        yield path, schema


def changed(kind: str, path: Path, schema: Json) -> Iterator[tuple[Json, Json]]:
    """Pairs of specs that both are accepted and differ in one leaf alone."""
    if (kind, path) in TOGETHER:
        yield TOGETHER[kind, path]
        return
    for base in BASES[kind]:
        for place in _places(base, path):
            for value in _others(schema, _at(base, place)):
                spec = copy.deepcopy(base)
                _at(spec, place[:-1])[place[-1]] = value
                if spec != base and not specs.refusal(kind, spec):
                    yield base, spec


def _places(value: Any, path: Path, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a leaf stands in a spec, if it does."""
    if not path:
        yield here
    elif path[0] == EACH and isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, path[1:], (*here, number))
    elif isinstance(value, dict) and path[0] in value:
        yield from _places(value[path[0]], path[1:], (*here, path[0]))


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        value = value[step]
    return value


STRINGS: Final = [
    "other", "other-2", "hf://other/model", "1.33.7", "registry.test/other:1", "X-Other", "https://other.test",
    "10.9.0.0/16", "2026-12-01T00:00:00Z", "NoExecute", "example.com/npu", "0.1", "free", "paid",
]  # fmt: skip


def _others(schema: Json, value: Any) -> Iterator[Any]:
    """Other values for a leaf; whether a rule admits them is for the caller to see."""
    if isinstance(value, dict):
        for key, item in value.items():
            for other in _others(schema.get("additionalProperties", {}), item):
                yield {**value, key: other}
    elif isinstance(value, bool):
        yield not value
    elif schema.get("x-kubernetes-int-or-string"):
        yield from ("250m", "3", "7Gi", "300Gi")
    elif "enum" in schema:
        yield from (item for item in schema["enum"] if item != value)
    elif isinstance(value, int):
        low, high = schema.get("minimum", 0), schema.get("maximum", 2**31 - 1)
        yield from (n for n in (value + 1, value * 4, max(value // 2, 1), value - 1) if low <= n <= high)
    else:
        yield from (text for text in (*STRINGS, f"{value}2") if text != value)


# What follows.


def effects(kind: str, spec: Json) -> str:
    """Everything that follows from a spec in the first passes, as one text; names of revisions masked."""
    found = EFFECTS[kind](spec)
    text = json.dumps(found, sort_keys=True)
    return re.sub(r"chat-[0-9a-f]{8}", "chat-REVISION", text)


def _of_model(spec: Json) -> Any:
    model = LLMModel.model_validate({"metadata": metadata("shared"), "spec": spec})
    users = {"modelRef": {"name": "shared"}, "hardware": _FITTING, "parallelism": _COPIES}
    return [dump_decision(model_core.decide(ModelWorld(NOW, model))), _passes(users, model)]


def _of_service(spec: Json) -> Any:
    shared = LLMModel.model_validate({"metadata": metadata("shared"), "spec": _BARE})
    return _passes(spec, shared if spec.get("modelRef") == {"name": "shared"} else None)


def _passes(spec: Json, model: LLMModel | None) -> list[Any]:
    """Resolving, birth, and engines that come up; then the service in its router's configuration."""
    status: Json = {}
    owned: list[Any] = []
    pods: list[Any] = []
    told = []
    for _ in range(5):
        document = {"metadata": metadata("chat"), "spec": spec, "status": status}
        service = LLMService.model_validate(document)
        world = ServiceWorld(
            NOW,
            PROXIED,
            service,
            model=model,
            prompt=_prompt_of(service),
            peers=[service],
            owned=owned,
            pods=pods,
        )
        decision = dump_decision(service_core.decide(world))
        told.append(_without_names(decision))
        status = {**decision["status"], "rollout": decision["state"]}
        owned = [_stored(child) for child in decision["desired"]] + [
            child for child in owned if child["kind"] == "ControllerRevision"
        ]
        pods = [_resolved(child) for child in owned if child["kind"] == "Job"]
    settled = LLMService.model_validate({"metadata": metadata("chat"), "spec": spec, "status": status})
    copies = [child for child in owned if child["kind"] == "ControllerRevision"]
    routers = RouterWorld(
        NOW, PROXIED, "team-a", "default", router=_router({}), services=[settled], prompts=copies
    )
    return [*told, dump_decision(router_core.decide(routers))["desired"]]


def _prompt_of(service: LLMService) -> PromptVersion | Missing | None:
    """What its promptRef leads to: there is one prompt."""
    if service.spec.prompt_ref is None:
        return None
    name, known = service.spec.prompt_ref.name, _SERVICE["promptRef"]["name"]
    made = {"metadata": metadata(known), "spec": FULL[RESOURCES["PromptVersion"]]}
    return PromptVersion.model_validate(made) if name == known else Missing("PromptVersion", name)


def _without_names(decision: Json) -> Json:
    """A decision without what merely repeats the spec."""
    kept = copy.deepcopy(decision)
    for child in kept["desired"]:
        if child["kind"] == "ControllerRevision":
            child["data"].pop("declared", None)
    return kept


def _stored(child: Json) -> Json:
    return {**child, "metadata": {**child["metadata"], "uid": f"uid-{child['kind']}", "generation": 1}}


def _resolved(job: Json) -> Json:
    ended = {"exitCode": 0, "message": json.dumps({"commit": "c0ffee", "bytes": 2**34})}
    labels = job["spec"]["template"]["metadata"]["labels"]
    return {
        "kind": "Pod",
        "metadata": {"name": "resolve", "uid": "uid-pod", "labels": labels},
        "status": {"containerStatuses": [{"name": names.RESOLVE_CONTAINER, "state": {"terminated": ended}}]},
    }


def _router(spec: Mapping[str, Any]) -> LLMRouter:
    return LLMRouter.model_validate({"metadata": metadata("default"), "spec": spec})


def _of_router(spec: Json) -> Any:
    world = RouterWorld(NOW, PROXIED, "team-a", "default", router=_router(spec))
    return dump_decision(router_core.decide(replace(world, services=[])))


def _of_prompt(spec: Json) -> Any:
    prompt = PromptVersion.model_validate({"metadata": metadata("support"), "spec": spec})
    suite = PromptSuite.model_validate(
        {"metadata": metadata("tests"), "spec": FULL[RESOURCES["PromptSuite"]]}
    )
    worlds = [
        suite_core.decide(SuiteWorld(NOW, suite, [prompt])),
        prompt_core.decide(PromptWorld(NOW, prompt)),
    ]
    return [dump_decision(decision) for decision in worlds]


def _of_suite(spec: Json) -> Any:
    suite = PromptSuite.model_validate({"metadata": metadata("tests"), "spec": spec})
    prompt = PromptVersion.model_validate(
        {"metadata": metadata("support"), "spec": FULL[RESOURCES["PromptVersion"]]}
    )
    return dump_decision(suite_core.decide(SuiteWorld(NOW, suite, [prompt])))


EFFECTS: Final[Mapping[str, Callable[[Json], Any]]] = {
    "LLMService": _of_service,
    "LLMRouter": _of_router,
    "LLMModel": _of_model,
    "PromptVersion": _of_prompt,
    "PromptSuite": _of_suite,
}
