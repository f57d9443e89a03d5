"""What a run ends with, without what differs from one good run to the next: times, versions, generated names.

Two ends are equal when everything that somebody could rely on is: the same objects, labels, owners, specs,
routes, and the same words in every status. Generations are compared by how far others lag behind them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pointsman.api import names
from pointsman.core import routing
from pointsman_router import config
from tests.simulation.cluster import Cluster

DROPPED = frozenset({"failed", "rejections", "trial", "previous"})
"""Fields of status.rollout about candidates that are gone, and about what served before."""
MEASURED = frozenset({"startup", "loading", "renderedBy"})
"""What tells of the way: seconds as they were, and which release a revision was born under."""
IGNORED = frozenset({"Event", "Pod", "EndpointSlice"})
"""Kinds that follow from the others, or tell of the way and not of the end."""
KEPT = ("labels", "annotations", "finalizers")
TIMES = frozenset({"lastTransitionTime", "stepStartedAt", "creationTimestamp", "at"})
_NUMBER = re.compile(r"\d[\d.,]*")
End = dict[str, Any]


def end_of(cluster: Cluster) -> End:
    """Everything that is there, by kind and name."""
    return end_of_objects(stored.obj for stored in cluster.kube.store.objects.values())


def end_of_objects(found: Iterable[Any]) -> End:
    """The same, of one namespace's objects however they were come by."""
    objects = [obj for obj in found if obj["kind"] not in IGNORED]
    owners = {o["metadata"]["uid"]: f"{o['kind']}/{o['metadata']['name']}" for o in objects}
    generations = {
        o["metadata"]["name"]: o["metadata"]["generation"] for o in objects if o["kind"] == "LLMService"
    }
    return {f"{o['kind']}/{o['metadata']['name']}": _comparable(o, owners, generations) for o in objects}


def without_history(end: End) -> End:
    """The end without ControllerRevisions that no Deployment runs, and without the numbers they were given:
    what is remembered beside what runs depends on how far a change had come when another followed."""
    kept = {}
    for key, obj in end.items():
        kind, name = key.split("/")
        if kind == "ControllerRevision":
            if f"Deployment/{name}" not in end:
                continue
            obj = {field: value for field, value in obj.items() if field != "revision"}
        kept[key] = _without_rejections(obj) if kind == "LLMService" else obj
    return kept


def _without_rejections(service: Any) -> Any:
    """What a service keeps of candidates that were tried and dropped is history too."""
    status = service.get("status") or {}
    rollout = {name: it for name, it in (status.get("rollout") or {}).items() if name not in DROPPED}
    return {**service, "status": {**status, "rollout": rollout}} if "rollout" in status else service


def of_service(end: End, name: str, beside: End) -> End:
    """Of an end what is in `beside` too, or a service's own."""
    return {
        key: obj
        for key, obj in end.items()
        if key in beside or obj["metadata"].get("labels", {}).get(names.LABEL_SERVICE) == name
    }


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """Every place where two ends differ, as a person would say it."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name in sorted({*wanted, *found}, key=str):
            here = f"{path}.{name}" if path else str(name)
            if name not in found:
                yield f"{here} is missing" if not path else f"{here} is missing: {_short(wanted[name])}"
            elif name not in wanted:
                yield f"{here} is too much: {_short(found[name])}"
            else:
                yield from differences(wanted[name], found[name], here)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            name = one.get("type") or one.get("name") if isinstance(one, Mapping) else None
            yield from differences(one, other, f"{path}[{name or number}]")
    elif wanted != found:
        yield f"{path} is {_short(found)}, not {_short(wanted)}"


def leaks(cluster: Cluster) -> Iterator[str]:
    """Objects that outlived the service or router they were made for (O16)."""
    there = {o["metadata"]["uid"] for o in _objects(cluster)}
    living = {(o["kind"], o["metadata"]["name"]) for o in _objects(cluster)}
    for obj in _objects(cluster):
        metadata, labels = obj["metadata"], obj["metadata"].get("labels") or {}
        name = f"{obj['kind']} {metadata['name']!r}"
        owners = metadata.get("ownerReferences") or ()
        if owners and not any(owner["uid"] in there for owner in owners):
            yield f"{name} outlived its owner"
        if obj["kind"] in IGNORED or labels.get(names.LABEL_MANAGED_BY) != names.MANAGED_BY:
            continue
        for label, kind in ((names.LABEL_SERVICE, "LLMService"), (names.LABEL_ROUTER, "LLMRouter")):
            if label in labels and (kind, labels[label]) not in living:
                yield f"{name} is left of {kind} {labels[label]!r}, which is gone"


def _objects(cluster: Cluster) -> list[Any]:
    return [stored.obj for stored in cluster.kube.store.objects.values() if stored.obj["kind"] != "Event"]


def _comparable(obj: Any, owners: Mapping[str, str], generations: Mapping[str, int]) -> dict[str, Any]:
    metadata = obj["metadata"]
    face = {name: metadata[name] for name in KEPT if metadata.get(name)}
    if names.ANNOTATION_APPLIED in face.get("annotations", {}):
        # A digest of what was applied, uids of owners included.
        face["annotations"] = {**face["annotations"], names.ANNOTATION_APPLIED: "a digest"}
    if names.ANNOTATION_REJECTIONS in face.get("annotations", {}):
        told = _masked(json.loads(face["annotations"][names.ANNOTATION_REJECTIONS]), 0, False)
        face["annotations"] = {**face["annotations"], names.ANNOTATION_REJECTIONS: told}
    face["owners"] = sorted(owners.get(r["uid"], "gone") for r in metadata.get("ownerReferences") or ())
    if metadata.get("deletionTimestamp"):
        face["leaving"] = True
    body = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind", "metadata")}
    if obj["kind"] == "ConfigMap" and "binaryData" in obj:
        body = _routes(obj, generations)
    return {"metadata": face, **_masked(body, metadata.get("generation", 0), bool(obj.get("spec")))}


def _routes(config_map: Any, generations: Mapping[str, int]) -> dict[str, Any]:
    compiled = routing.unpack(config_map)
    document: Any = config.dump(compiled) if compiled else {}
    for service in document.get("services", ()):
        service["generation"] -= generations.get(service["name"], 0)
        service.pop("created", None)
    return {"routes": json.loads(json.dumps(document))}


def _masked(value: Any, generation: int, own: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _masked_field(name, item, generation, own)
            for name, item in value.items()
            if name not in TIMES | MEASURED
        }
    if isinstance(value, list):
        return [_masked(item, generation, own) for item in value]
    return value


def _masked_field(name: str, value: Any, generation: int, own: bool) -> Any:
    if name in ("observedGeneration", "generation") and own and isinstance(value, int):
        return value - generation
    if name in ("hash", "configHash"):
        # Made of generations, among what is compared anyway.
        return bool(value)
    if name == "message" and isinstance(value, str) and " samples" in value:
        # What was measured until the verdict; how much of it differs from run to run.
        return _NUMBER.sub("some", value)
    return _masked(value, generation, own)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 160 else text[:157] + "..."


def conditions_of(cluster: Cluster, wanted: Mapping[tuple[str, str], str]) -> Iterable[str]:
    """What of `wanted` isn't so: (object as Kind/name, condition) to its status and reason, `True/Ready`."""
    for (at, kind), expected in wanted.items():
        of, name = at.split("/")
        status, reason, message = cluster.condition(name, kind, of)
        if expected not in (status, f"{status}/{reason}"):
            yield f"{at}: {kind} is {status}/{reason} ({message}), not {expected}"
