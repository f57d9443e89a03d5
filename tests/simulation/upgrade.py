"""Objects as this version leaves them, kept for every later one: recorded once, loaded by tests.

`python -m tests.simulation.upgrade VERSION` records the stories below into golden/VERSION.json.gz. Recorded
files are never made anew: they are what is out there.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pointsman.api.service import ServiceSpec
from pointsman.core import revision
from pointsman.kube.ownership import Manager
from pointsman.kube.store import Address, Stored
from tests.simulation.cluster import Cluster
from tests.simulation.stories import serving
from tests.simulation.worlds import CHAT, PROXIED

GOLDEN = Path(__file__).parent / "golden"
TINY: dict[str, Any] = {"model": {"source": {"uri": "file:///models/tiny"}}}
GPU = {"hardware": {"accelerator": {"resource": "nvidia.com/gpu", "count": 2}}}
FULL: dict[str, Any] = {
    **TINY,
    **GPU,
    "modelNames": ["full", "team/full"],
    "replicas": 2,
    "parallelism": {"tensor": 2},
    "engine": {"maxModelLen": 4096, "args": {"max-num-seqs": "8"}, "env": {"LEVEL": "1"}},
    "routing": {"timeouts": {"requestSeconds": 60}, "retries": {"maxAttempts": 2}},
    "pod": {"labels": {"team": "a"}, "annotations": {"example.com/owner": "a"}},
    "rollout": {"strategy": "Recreate"},
}
Json = dict[str, Any]


async def told() -> Cluster:
    """A cluster in which much has happened, one service of it in the middle of a change."""
    cluster = Cluster(PROXIED)
    await cluster.apply("LLMModel", "shared", CHAT["model"])
    await cluster.apply("LLMRouter", "front", {"replicas": 3, "tls": {}, "limits": {"maxConnections": 9}})
    await serving(cluster, {"modelRef": {"name": "shared"}, "routerRef": {"name": "front"}}, "shared")
    await serving(cluster, FULL, "full")
    await serving(cluster, CHAT, "remote")
    await serving(cluster, TINY, "changed")
    await serving(cluster, {**TINY, "engine": {"maxModelLen": 512}}, "changed")
    await serving(cluster, TINY, "changing")
    changed = {**TINY, "engine": {"maxModelLen": 512}}
    cluster.failing[_revision("changing", changed)] = {"name": "engine", "ready": False, "state": {}}
    await cluster.apply("LLMService", "changing", changed)
    await cluster.settle()
    return cluster


def _revision(name: str, spec: Json) -> str:
    parsed = ServiceSpec.model_validate(spec)
    assert parsed.model is not None
    return revision.name_of(name, parsed, parsed.model)


def dumped(cluster: Cluster) -> Json:
    """Everything that a cluster holds of the operator's and the users' objects."""
    objects = [
        {
            "address": address,
            "object": stored.obj,
            "managers": [_written(m, p) for m, p in stored.managers.items()],
        }
        for address, stored in sorted(cluster.kube.store.objects.items())
        if address[1] != "Event"
    ]
    return {
        "now": cluster.now.isoformat(),
        "version": cluster.kube.store.version,
        "failing": cluster.failing,
        "objects": objects,
    }


def loaded(path: Path) -> Cluster:
    """The cluster that a file holds, with this version's operator just started in it."""
    document = json.loads(gzip.decompress(path.read_bytes()))
    cluster = Cluster(PROXIED)
    cluster.now = datetime.fromisoformat(document["now"]) + timedelta(hours=1)
    cluster.failing = document["failing"]
    objects: dict[Address, Stored] = {}
    for item in document["objects"]:
        managers = dict(_read(entry) for entry in item["managers"])
        objects[tuple(item["address"])] = Stored(item["object"], managers)
    cluster.kube.store.begin_at(objects, document["version"])
    return cluster


def _written(manager: Manager, owned: Any) -> Json:
    return {
        "manager": [manager.name, manager.operation, manager.subresource],
        "paths": sorted(json.dumps(path) for path in owned),
    }


def _read(entry: Mapping[str, Any]) -> tuple[Manager, Any]:
    return Manager(*entry["manager"]), frozenset(_tuples(json.loads(path)) for path in entry["paths"])


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def record(version: str) -> None:
    """Writes what this version makes."""
    GOLDEN.mkdir(exist_ok=True)
    document = dumped(asyncio.run(told()))
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    (GOLDEN / f"{version}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    record(sys.argv[1])
