"""Any world around a spec: children that hands were at, pods in every state, routers gone mad, odd statuses.

Everything here is what the API server would store or a reader would make of an answer, and much of it never
happens. Deciding must be possible all the same.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from pointsman.api import names
from pointsman.api.model import LLMModel
from pointsman.api.prompt import PromptVersion
from pointsman.api.prompt_suite import PromptSuite
from pointsman.api.router import LLMRouter
from pointsman.api.service import LLMService
from pointsman.core import observed, router, service
from pointsman.core.world import Missing, ModelWorld, PromptWorld, RouterWorld, ServiceWorld, SuiteWorld
from tests.simulation import specs
from tests.simulation.worlds import PROXIED, WRONG
from tests.unit.core.build import metadata

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, 0, 20, tzinfo=UTC)
TINY = {"model": {"source": {"uri": "file:///models/tiny"}}}
WORDS = st.one_of(
    st.sampled_from(["", "CrashLoopBackOff", "ErrImagePull", "no space left on device", "[1]", "{", "null"]),
    st.sampled_from([WRONG, {"reason": 7, "message": []}, {"commit": "c0ffee", "bytes": "many"}]).map(
        json.dumps
    ),
    st.text(max_size=12),
)
COUNTS = st.integers(0, 4)
REASONS = st.sampled_from(
    ["ContainerCreating", "CrashLoopBackOff", "ImagePullBackOff", "CreateContainerConfigError", "OOMKilled",
     "Error", "Evicted", "PodInitializing", "FailedMount", "FailedScheduling", "Unhealthy", "Unheard"]
)  # fmt: skip


def metas(name: str) -> specs.Strategy:
    """Metadata of an object of ours."""
    return st.builds(
        lambda deleted, generation, held: {
            **metadata(name),
            "generation": generation,
            **({"deletionTimestamp": deleted} if deleted else {}),
            **({"finalizers": [names.FINALIZER]} if held else {}),
        },
        st.sampled_from([None, None, None, *specs.MOMENTS]),
        st.integers(1, 4),
        st.booleans(),
    )


@st.composite
def services(draw: st.DrawFn, name: str = "chat") -> LLMService:
    """An LLMService with a status that is its own, somebody else's or none."""
    document = {"metadata": draw(metas(name)), "spec": draw(specs.accepted("LLMService"))}
    if draw(st.booleans()):
        status = draw(specs.values(specs.schema_of("LLMService", "status")))
        document["status"] = _connected(status, draw(st.sampled_from(["", *_revisions(document)])))
    return LLMService.model_validate(document)


def _revisions(document: Json) -> list[str]:
    """Names of revisions that there may be."""
    made = LLMService.model_validate({**document, "metadata": metadata("chat")})
    model = LLMModel.model_validate({"metadata": metadata("shared"), "spec": TINY["model"]})
    states = service.decide(ServiceWorld(NOW, PROXIED, made, model=model)).state or {}
    return [str(states.get("candidate") or "chat-1"), "chat-12345678"]


def _connected(status: Json, revision: str) -> Json:
    """A status that speaks of a revision there is, where it speaks of any."""
    rollout = status.get("rollout")
    if not revision or not isinstance(rollout, dict):
        return status
    for name in ("stable", "candidate"):
        if name in rollout:
            rollout[name] = revision
    for share in rollout.get("traffic", [])[:1]:
        share["revision"] = revision
    return status


@st.composite
def service_worlds(draw: st.DrawFn) -> ServiceWorld:
    """Any World of an LLMService."""
    made = draw(services())
    model = draw(
        st.one_of(st.none(), st.just(Missing("LLMModel", "shared")), models())
        if made.spec.model_ref
        else st.none()
    )
    led = st.one_of(st.just(Missing("PromptVersion", "support")), prompts())
    prompt = draw(led) if made.spec.prompt_ref else None
    children = _children(made, model, prompt)
    revisions = [child["metadata"]["name"] for child in children if child["kind"] == "Deployment"]
    peers = [made, *draw(st.lists(services("elder"), max_size=1))]
    return ServiceWorld(
        now=NOW,
        settings=PROXIED,
        service=made,
        model=model,
        prompt=prompt,
        router=draw(st.one_of(st.none(), st.just(Missing("LLMRouter", "front")), routers())),
        peers=peers,
        owned=draw(_handled(children)),
        strangers=draw(st.lists(st.sampled_from(children), max_size=1)) if children else (),
        pods=draw(st.lists(pods(revisions or ["chat-1"]), max_size=3)),
        pod_events=draw(st.lists(events(), max_size=2)),
        signals=draw(st.lists(signals(revisions), max_size=2)),
        probe=draw(st.one_of(st.none(), _answers(observed.parse_probe, _probe_bodies()))),
    )


def _children(
    made: LLMService, model: LLMModel | Missing | None, prompt: PromptVersion | Missing | None
) -> list[Json]:
    """What a few passes would have made of it."""
    plain = made.model_copy(
        update={"metadata": made.metadata.model_copy(update={"deletion_timestamp": None})}
    )
    world = ServiceWorld(NOW, PROXIED, plain, model=model, prompt=prompt, peers=[plain])
    born: list[Json] = [copy.deepcopy(dict(child)) for child in service.decide(world).desired]
    known = replace(world, owned=[_stored(c) for c in born])
    found = {
        (c["kind"], c["metadata"]["name"]): copy.deepcopy(dict(c)) for c in service.decide(known).desired
    }
    found |= {(c["kind"], c["metadata"]["name"]): c for c in born}
    return [_stored(child) for child in found.values()]


def _stored(child: Json) -> Json:
    meta = {
        "uid": f"uid-{child['kind']}-{child['metadata']['name']}",
        "generation": 1,
        "resourceVersion": "9",
    }
    return {**child, "metadata": {**child["metadata"], **meta}}


@st.composite
def _handled(draw: st.DrawFn, children: list[Json]) -> list[Json]:
    """Some of the children, as controllers and hands left them."""
    kept = []
    for child in children:
        if draw(st.integers(0, 4)) == 0:
            continue
        child = copy.deepcopy(child)
        if draw(st.booleans()):
            child["status"] = draw(_statuses(child["kind"]))
        if draw(st.integers(0, 5)) == 0:
            child["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        if draw(st.integers(0, 5)) == 0:
            child["metadata"].pop("labels", None)
        if draw(st.integers(0, 5)) == 0:
            child.pop("data", None)
            child.pop("binaryData", None)
        kept.append(child)
    return kept


def _statuses(kind: str) -> specs.Strategy:
    conditions = st.builds(
        lambda type_, status, reason, message, moment: {
            "type": type_,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": moment,
        },
        st.sampled_from(
            ["Failed", "Complete", "Available", "Progressing", "ReplicaFailure", "FailureTarget"]
        ),
        st.sampled_from(["True", "False"]),
        REASONS,
        WORDS,
        st.sampled_from(specs.MOMENTS),
    )
    optional: dict[str, specs.Strategy] = dict.fromkeys(
        ("replicas", "readyReplicas", "updatedReplicas", "unavailableReplicas"), COUNTS
    )
    if kind not in ("Deployment", "Job"):
        return st.just({})
    return st.fixed_dictionaries(
        {},
        optional={**optional, "observedGeneration": COUNTS, "conditions": st.lists(conditions, max_size=2)},
    )


@st.composite
def pods(draw: st.DrawFn, revisions: list[str]) -> Json:
    """A pod with our label, in whatever state."""
    labels = {names.LABEL_SERVICE: "chat"}
    labels |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                names.LABEL_ROLE: st.sampled_from([names.ROLE_ENGINE, names.ROLE_RESOLVE]),
                names.LABEL_REVISION: st.sampled_from(revisions),
            },
        )
    )
    meta: Json = {"name": f"chat-{draw(COUNTS)}", "namespace": "team-a", "uid": "uid-pod", "labels": labels}
    meta["creationTimestamp"] = draw(st.sampled_from(specs.MOMENTS))
    if draw(st.integers(0, 5)) == 0:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    containers = st.fixed_dictionaries(
        {"name": st.sampled_from([names.ENGINE_CONTAINER, names.RESOLVE_CONTAINER, "sidecar"])},
        optional={
            "ready": st.booleans(),
            "started": st.booleans(),
            "restartCount": COUNTS,
            "state": _states(),
            "lastState": _states(),
        },
    )
    conditions = st.fixed_dictionaries(
        {
            "type": st.sampled_from(["PodScheduled", "Ready", "Initialized", "DisruptionTarget"]),
            "status": st.sampled_from(["True", "False"]),
        },
        optional={
            "reason": REASONS,
            "message": WORDS,
            "lastTransitionTime": st.sampled_from(specs.MOMENTS),
        },
    )
    status = st.fixed_dictionaries(
        {},
        optional={
            "phase": st.sampled_from(["Pending", "Running", "Failed", "Succeeded"]),
            "reason": REASONS,
            "message": WORDS,
            "containerStatuses": st.lists(containers, max_size=2),
            "conditions": st.lists(conditions, max_size=2),
        },
    )
    pod: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": []}}
    return {**pod, "status": draw(status)} if draw(st.booleans()) else pod


def _states() -> specs.Strategy:
    waiting = st.fixed_dictionaries({}, optional={"reason": REASONS, "message": WORDS})
    ended = st.fixed_dictionaries(
        {"exitCode": st.sampled_from([0, 1, 2, 137, 143])},
        optional={
            "reason": REASONS,
            "message": WORDS,
            "startedAt": st.sampled_from(specs.MOMENTS),
            "finishedAt": st.sampled_from(specs.MOMENTS),
        },
    )
    return st.one_of(
        st.just({}),
        waiting.map(lambda it: {"waiting": it}),
        ended.map(lambda it: {"terminated": it}),
        st.sampled_from(specs.MOMENTS).map(lambda it: {"running": {"startedAt": it}}),
    )


def events() -> specs.Strategy:
    """A warning, as either of the API's two faces shows it."""
    about = st.fixed_dictionaries(
        {"kind": st.sampled_from(["Pod", "Job"])}, optional={"uid": st.just("uid-pod")}
    )
    made = st.fixed_dictionaries(
        {"involvedObject": about, "reason": REASONS, "type": st.just("Warning")},
        optional={
            "message": WORDS,
            "lastTimestamp": st.sampled_from(specs.MOMENTS),
            "eventTime": st.sampled_from(specs.MOMENTS),
        },
    )
    return made.map(lambda it: {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, **it})


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 9), st.floats(0, 9), WORDS, st.just([]), st.just({})
)


def signals(revisions: list[str]) -> specs.Strategy:
    """What a router told, or something that none would."""
    engines = st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("pod", "ready", "phase", "bytesLoaded", "bytesTotal", "timings", "reason", "message"), ANYTHING
        ),
    )
    variants = st.fixed_dictionaries(
        {}, optional={"ready": ANYTHING, "endpoints": ANYTHING, "engines": st.lists(engines, max_size=2)}
    )
    known = st.dictionaries(st.sampled_from([*revisions, "chat-1"]), variants, max_size=2)
    told = st.fixed_dictionaries({}, optional={"hash": ANYTHING, "variants": known})
    body = st.fixed_dictionaries(
        {},
        optional={
            "config": ANYTHING,
            "configError": ANYTHING,
            "understands": ANYTHING,
            "tlsError": ANYTHING,
            "services": st.dictionaries(st.sampled_from(["chat", "other"]), told, max_size=2),
        },
    )
    return _answers(observed.parse_signals, body)


def _probe_bodies() -> specs.Strategy:
    return st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("ok", "service", "generation", "hash", "variant", "kind", "reason"), ANYTHING
        ),
    )


def _answers(parse: Any, bodies: specs.Strategy) -> specs.Strategy:
    return st.builds(
        lambda reachable, body: parse({"address": "10.0.0.1:9090", "reachable": reachable, "body": body}),
        st.booleans(),
        bodies,
    )


@st.composite
def routers(draw: st.DrawFn, name: str = "default") -> LLMRouter:
    """An LLMRouter; sometimes one made on demand."""
    meta = draw(metas(name))
    if draw(st.booleans()):
        meta["labels"] = {names.LABEL_ON_DEMAND: "true"}
    document = {"metadata": meta, "spec": draw(st.one_of(st.just({}), specs.accepted("LLMRouter")))}
    if draw(st.booleans()):
        document["status"] = draw(specs.values(specs.schema_of("LLMRouter", "status")))
    return LLMRouter.model_validate(document)


@st.composite
def router_worlds(draw: st.DrawFn) -> RouterWorld:
    """Any World of an LLMRouter."""
    made = draw(st.one_of(st.none(), routers()))
    around = draw(st.lists(services(), max_size=2))
    bare = RouterWorld(NOW, PROXIED, "team-a", "default", router=made, services=around)
    children = [
        _stored(copy.deepcopy(dict(c))) for c in router.decide(bare).desired if c["kind"] != "LLMRouter"
    ]
    return RouterWorld(
        NOW,
        PROXIED,
        "team-a",
        "default",
        router=made,
        services=around,
        owned=draw(_handled(children)),
        strangers=draw(st.lists(st.sampled_from(children), max_size=1)) if children else (),
        signals=draw(st.lists(signals([]), max_size=2)),
        unready=draw(st.lists(signals([]), max_size=1)),
    )


@st.composite
def models(draw: st.DrawFn, name: str = "shared") -> LLMModel:
    """An LLMModel."""
    document = {"metadata": draw(metas(name)), "spec": draw(specs.accepted("LLMModel"))}
    if draw(st.booleans()):
        document["status"] = draw(specs.values(specs.schema_of("LLMModel", "status")))
    return LLMModel.model_validate(document)


@st.composite
def model_worlds(draw: st.DrawFn) -> ModelWorld:
    """Any World of an LLMModel."""
    return ModelWorld(NOW, draw(models()), draw(st.lists(services(), max_size=2)))


@st.composite
def prompts(draw: st.DrawFn, name: str = "support") -> PromptVersion:
    """A PromptVersion."""
    document = {"metadata": draw(metas(name)), "spec": draw(specs.accepted("PromptVersion"))}
    return PromptVersion.model_validate(document)


@st.composite
def prompt_worlds(draw: st.DrawFn) -> PromptWorld:
    """Any World of a PromptVersion."""
    return PromptWorld(NOW, draw(prompts()))


@st.composite
def suite_worlds(draw: st.DrawFn) -> SuiteWorld:
    """Any World of a PromptSuite."""
    document = {"metadata": draw(metas("tests")), "spec": draw(specs.accepted("PromptSuite"))}
    return SuiteWorld(NOW, PromptSuite.model_validate(document), draw(st.lists(prompts(), max_size=2)))
