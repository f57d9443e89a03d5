"""Which cluster a tree gets, and finding the one it has.

In this order: a context named by the caller; kind, where Docker can run it; a bare cluster. An ambient
KUBECONFIG is never looked at.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from e2e.cluster import bare, context, kind
from e2e.cluster.bare import BareCluster
from e2e.cluster.cluster import Cluster
from e2e.cluster.context import NamedCluster
from e2e.cluster.instance import (
    ClusterError,
    Instance,
    Provider,
    Record,
    Size,
    locked,
    read_record,
    this_instance,
)
from e2e.cluster.kind import KindCluster
from e2e.cluster.parts import kubernetes_version
from e2e.cluster.progress import say

CLASSES: dict[Provider, type[Cluster]] = {"bare": BareCluster, "kind": KindCluster, "context": NamedCluster}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller of `up` asked for."""

    size: Size = "node"
    context: str = ""
    kubeconfig: Path | None = None
    provider: Literal["auto", "kind", "bare"] = "auto"


def current(instance: Instance | None = None) -> Cluster:
    """The cluster of this working tree; ClusterError where none is up."""
    instance = instance or this_instance()
    record = read_record(instance)
    if record is None or not record.up:
        raise ClusterError("no cluster is up for this working tree; `make cluster` brings one up")
    return CLASSES[record.provider](instance, record)


def up(wish: Wish, instance: Instance | None = None) -> Cluster:
    """The cluster that `wish` describes, brought up first where it is not up already."""
    instance = instance or this_instance()
    lock = instance.cache / "instances" / f"{instance.name}.lock"
    with locked(lock, "Another process is bringing this tree's cluster up or down; waiting."):
        record = read_record(instance)
        if record and record.up and satisfies(record, wish, kubernetes_version(os.environ)):
            cluster = CLASSES[record.provider](instance, record)
            if cluster.alive():
                say(f"The cluster of this tree is up already ({record.provider}, {record.size}).")
                return cluster
            say("The cluster of this tree has stopped answering; starting it anew.")
        elif record and record.up:
            say(f"This tree has another cluster ({record.provider}, {record.size}); ending that first.")
        if record:
            end(instance)
        record = _bring_up(instance, wish)
    return CLASSES[record.provider](instance, record)


def down(instance: Instance | None = None) -> None:
    """Ends this tree's cluster, or what a killed run left of it."""
    instance = instance or this_instance()
    lock = instance.cache / "instances" / f"{instance.name}.lock"
    with locked(lock, "Another process is bringing this tree's cluster up or down; waiting."):
        end(instance)


def end(instance: Instance) -> None:
    record = read_record(instance)
    if record:
        CLASSES[record.provider](instance, record).down()
    bare.clear(instance)


def satisfies(record: Record, wish: Wish, version: str) -> bool:
    """Whether the cluster of `record` is what `wish` asks for. A whole node is a control plane too."""
    if wish.context:
        return False  # it is adopted anew each time: that is cheap, and its kubeconfig may have changed
    if record.provider == "context":
        return False
    if wish.provider not in ("auto", record.provider):
        return False
    if record.provider == "bare" and record.kubernetes != version:
        return False
    return record.size in (wish.size, "node")


def prune(cache: Path) -> list[str]:
    """Deletes image stores and logs of instances that are down and whose working tree is gone."""
    removed = []
    for owner in sorted((cache / "stores").glob("*.tree")):
        name = owner.stem
        if Path(owner.read_text()).is_dir() or (cache / "instances" / name).exists():
            continue
        for folder in (cache / "stores" / name, cache / "logs" / name):
            shutil.rmtree(folder, ignore_errors=True)
        owner.unlink()
        removed.append(name)
    return removed


def _bring_up(instance: Instance, wish: Wish) -> Record:
    if wish.context:
        return context.adopt(instance, wish.kubeconfig or context.default_kubeconfig(), wish.context)
    if wish.size == "control-plane":
        return bare.bring_up(instance, wish.size)
    if wish.provider == "kind" or (wish.provider == "auto" and kind.usable()):
        try:
            return kind.bring_up(instance)
        except ClusterError as error:
            if wish.provider == "kind":
                raise
            say(f"{error}\nGoing on with a bare cluster.")
    return bare.bring_up(instance, wish.size)
