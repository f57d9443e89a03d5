"""A service of scripted engines that changes while it is asked: declared, waited for, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from e2e.conditions import shares, told
from e2e.load import STREAMED, Load
from e2e.manifests import scripted
from e2e.namespace import Manifest, Namespace
from e2e.release import Release
from e2e.waiting import wait_for

SERVICE = "llmservice/chat"
WITHIN_S = 300.0
RATE = 20.0
"""Requests a second."""


@dataclass(frozen=True, slots=True)
class Changing:
    """One service, `chat`."""

    release: Release
    namespace: Namespace

    def declare(self, rollout: Mapping[str, Any], arguments: Mapping[str, str], **over: Any) -> None:
        """Applies the service: how it changes, and its engines' arguments, by which revisions differ."""
        image = self.release.image("scripted-engine")
        engine = {"args": dict(arguments)}
        self.namespace.apply(
            scripted("chat", image, engine=engine, rollout=dict(rollout), drainSeconds=5, **over)
        )

    @contextmanager
    def loaded(self) -> Iterator[tuple[str, Load]]:
        """The stable revision once it serves, and the load on it."""
        stable = self.wait_until_ready()["stable"]
        with (
            self.release.cluster.forward("service/default-router", "http", self.namespace.name) as address,
            Load(address, "chat", RATE, (STREAMED,)) as load,
        ):
            wait_for("the first answers", lambda: load.outcomes, 60.0, seen=lambda: str(load))
            yield stable, load
            load.stop()
        print(load)

    def wait_until_ready(self) -> Manifest:
        """`status.rollout` once the service is Ready as it is declared now."""
        ready = self.namespace.wait_until_ready(SERVICE, WITHIN_S)
        found: Manifest = ready["status"]["rollout"]
        return found

    def wait_for(
        self, what: str, reached: Callable[[Manifest], bool], within_s: float = WITHIN_S
    ) -> Manifest:
        """`status.rollout` once it's so."""

        def look() -> Manifest | None:
            at = self.rollout()
            return at if reached(at) else None

        return wait_for(what, look, within_s, seen=self.told, period_s=0.2)

    def rollout(self) -> Manifest:
        """`status.rollout` as it is."""
        found: Manifest = self.namespace.the(SERVICE)["status"]["rollout"]
        return found

    def shares(self) -> dict[str, int]:
        """The percent of requests that each revision has."""
        return shares(self.rollout())

    def told(self) -> str:
        """What its conditions say."""
        return told(self.namespace.the(SERVICE))
