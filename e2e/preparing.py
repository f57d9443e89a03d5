"""From nothing to a cluster with Pointsman on it, stage by stage and each with its time.

The demo and the scenarios begin alike. Every stage finds what an earlier run left: built parts, built images,
the node's image store, a cluster that is up.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from e2e import cluster as clusters
from e2e.cluster import Cluster, ClusterError, Wish
from e2e.cluster.progress import say, spoken
from e2e.images.archives import archives
from e2e.release import LOCAL_REGISTRY, Release

IMAGES = ("operator", "router", "demo-engine")
"""The demo engine is the CPU engine with two models in it."""


@dataclass(slots=True)
class Stage:
    """One part of the way. Whoever runs it notes what made it long or short."""

    name: str
    seconds: float = 0.0
    note: str = ""


@dataclass(slots=True)
class Stages:
    """The way so far."""

    passed: list[Stage] = field(default_factory=list)

    @contextlib.contextmanager
    def stage(self, name: str, title: str) -> Iterator[Stage]:
        """Says `title`, and keeps the time of the block. The stage that fails is the last one."""
        say(f"\n== {title}")
        entry = Stage(name)
        self.passed.append(entry)
        began = time.monotonic()
        try:
            yield entry
        finally:
            entry.seconds = time.monotonic() - began
        say(f"   {name}: {spoken(entry.seconds)}" + (f", {entry.note}" if entry.note else ""))

    @property
    def current(self) -> str:
        """The stage that runs, or ran last."""
        return self.passed[-1].name if self.passed else ""

    def table(self) -> str:
        """Every stage with its time, and the sum."""
        rows = [*self.passed, Stage("all", sum(stage.seconds for stage in self.passed))]
        return "\n".join(f"  {row.name:8} {spoken(row.seconds):>8}  {row.note}".rstrip() for row in rows)


def prepare(
    stages: Stages,
    wish: Wish,
    registry: str,
    images: Sequence[str] = IMAGES,
    values: Mapping[str, Any] = MappingProxyType({}),
) -> Release:
    """A cluster with the operator ready on it. Raises ClusterError and Helm's errors.

    `registry` is where a cluster that somebody named pulls from; one of our own gets `images` built here.
    `values`: further ones of the chart.
    """
    if wish.context and not registry:
        raise ClusterError(
            "nodes of a cluster that you named can only pull: push the images first "
            "(make images REGISTRY=registry.example.com/pointsman), then say REGISTRY=... here too"
        )
    with stages.stage("cluster", "A cluster") as stage:
        stage.note = "yours" if wish.context else "found" if _is_up() else "started"
        cluster = clusters.up(wish)
    loaded = [] if registry else _provide_images(stages, cluster, images)
    release = Release(cluster, registry or LOCAL_REGISTRY, tuple(loaded), values)
    with stages.stage("chart", "Pointsman, by its chart"):
        release.install()
    return release


def _provide_images(stages: Stages, cluster: Cluster, images: Sequence[str]) -> list[str]:
    """Builds what isn't built and loads what the node hasn't got; returns the latter's names."""
    with stages.stage("images", "Images") as stage:
        began = time.time()
        paths = archives(images)
        built = _newer(paths, began)
        stage.note = f"built {', '.join(built)}" if built else "all built"
    with stages.stage("load", "Images into the node") as stage:
        loaded = cluster.load(paths)
        stage.note = f"loaded {len(loaded)}" if loaded else "all there"
    return loaded


def _is_up() -> bool:
    try:
        return clusters.current().alive()
    except ClusterError:
        return False


def _newer(paths: list[Path], began: float) -> list[str]:
    return [path.name.rsplit("-", 1)[0] for path in paths if path.stat().st_mtime >= began]
