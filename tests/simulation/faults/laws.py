"""What must hold of changes that are judged, at every instant of every run (O15), beside the timeline's laws.

Status is believed about what it says of the rollout, routers about what they run; the two are held against
the spec, against each other, and against what was before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pointsman.api.service_status import Step
from pointsman.core.variant import Variant
from pointsman_router import config

if TYPE_CHECKING:
    from tests.simulation.faults.site import Site

Status = Mapping[str, Any]
"""A `status.rollout`."""
BESIDE_STABLE = frozenset({Step.CAPACITY, Step.TRIAL, Step.CANARY, Step.TRAFFIC, Step.BAKING})
"""Steps in which the stable variant has to have all of its engines still."""
PASS = timedelta(seconds=15)
"""How long a router's pass may take from what it reads to what it writes, where all takes its time."""
USUAL_GATES = 3
"""Where none are declared."""


def revision_of(variant: str) -> str:
    """The engines of a variant."""
    return Variant.parse(variant).revision


class Laws:
    """Watches the changes of one site's services. `say` takes an oracle and what it has to say."""

    def __init__(self, site: Site, say: Callable[[str, str], None]) -> None:
        self._site, self._say = site, say
        self._rejected: dict[str, set[str]] = {}
        self._told: dict[str, list[tuple[datetime | None, dict[str, int]]]] = {}
        """What status told of shares, and when it told of others."""
        self._shares: dict[str, dict[tuple[str, str], int]] = {}
        self._generations: dict[str, int] = {}

    def told(self, service: Mapping[str, Any], before: Status, after: Status, *, lenient: bool) -> None:
        """Status tells of another rollout. `lenient`: what routers run may be another thing already."""
        name, shares = service["metadata"]["name"], _shares(after)
        told = self._told.setdefault(name, [(None, _shares(before))])
        told[-1] = (self._site.now, told[-1][1])
        told.append((None, shares))
        self._rejected.setdefault(name, set()).update(after.get("failed") or ())
        strangers = shares.keys() - {after.get("stable"), after.get("candidate")}
        if strangers:
            self._say("O15 candidates", f"{name}: requests for {', '.join(sorted(strangers))}")
        for variant, weight in shares.items():
            if variant != after.get("stable"):
                self._check_share(name, variant, weight, _most(service, after))
        self._check_verdicts(service, before, after)
        self._check_looks(name, before, after)
        if not lenient:
            self._check_acknowledged(name, before, after)

    def routed(self, running: config.RouterConfig, rollouts: Mapping[str, Status], *, lenient: bool) -> None:
        """A router runs other weights."""
        before = self._shares.get(running.name, {})
        after = {(s.name, v.name): v.weight for s in running.services for v in s.variants}
        self._shares[running.name] = after
        for service in running.services:
            if len(service.variants) > 2:
                self._say("O15 candidates", f"{running.name} knows {len(service.variants)} of {service.name}")
        for (name, variant), weight in sorted(after.items()):
            stable = rollouts.get(name, {}).get("stable")
            if weight > before.get((name, variant), 0) and variant != stable and not lenient:
                self._check_more(name, variant, weight)

    def deployed(self, event: str, rollout: Status, service: Any, deployment: Any) -> None:
        """The operator writes a Deployment of engines."""
        metadata, name = deployment["metadata"], deployment["metadata"]["name"]
        before = self._generations.get(name)
        self._generations[name] = metadata["generation"]
        if service is None or service["metadata"].get("deletionTimestamp"):
            return
        if rollout.get("step") not in BESIDE_STABLE or name != revision_of(rollout.get("stable") or ""):
            return
        wanted = service["spec"].get("replicas", 1)
        if event == "DELETED" or metadata.get("deletionTimestamp"):
            self._say("O15 capacity", f"stable {name} is deleted in the middle of a change")
        elif deployment["spec"].get("replicas", 1) < wanted:
            self._say(
                "O15 capacity", f"stable {name} has {deployment['spec'].get('replicas', 1)} of {wanted}"
            )
        elif before not in (None, metadata["generation"]) and _shares_engines(rollout):
            self._say("O15 pods", f"{name} is edited by a change that needs no other engines")

    def _check_share(self, name: str, variant: str, weight: int, most: int) -> None:
        if weight and variant in self._rejected.get(name, ()):
            self._say("O15 rejected", f"{name}: {variant} was rejected, and has {weight} %")
        elif weight > most:
            self._say("O15 declared", f"{name}: {variant} has {weight} % where at most {most} are declared")

    def _check_more(self, name: str, variant: str, weight: int) -> None:
        most = self._told_lately(name, variant)
        if weight > most:
            self._say("O15 state first", f"{name}: {variant} has {weight} % where status tells of {most} %")
        found = self._site.find("Deployment", revision_of(variant)) or {"spec": {}}
        if (found.get("status") or {}).get("readyReplicas", 0) < found["spec"].get("replicas", 1):
            self._say("O15 readiness", f"{name}: {variant} has {weight} % before all its engines are ready")

    def _told_lately(self, name: str, variant: str) -> int:
        """The most that status tells of, or told of while the router's pass may have been under way."""
        since, most = self._site.now - PASS, 0
        for replaced, shares in self._told.get(name, ()):
            if replaced is None or replaced >= since:
                most = max(most, shares.get(variant, 0))
        return most

    def _check_verdicts(self, service: Any, before: Status, after: Status) -> None:
        """A canary's step is passed by verdicts, of this candidate and this step, and by nothing else."""
        name, index = service["metadata"]["name"], before.get("stepIndex", 0)
        passed = (before.get("step"), after.get("step")) == (Step.CANARY, Step.CAPACITY)
        rollout = service["spec"].get("rollout") or {}
        if not passed or before.get("candidate") != after.get("candidate") or not rollout.get("steps"):
            return
        found, gates = after.get("analysis") or {}, rollout.get("gates")
        verdicts = [gate["verdict"] for gate in found.get("gates") or ()]
        asked = USUAL_GATES if gates is None else len(gates)
        if found.get("window") != f"{before['candidate']}/{index}":
            self._say("O15 verdicts", f"{name}: step {index} ends by what {found.get('window')} showed")
        elif verdicts != ["Pass"] * asked:
            self._say("O15 verdicts", f"{name}: step {index} ends with {verdicts}")

    def _check_looks(self, name: str, before: Status, after: Status) -> None:
        """What looks found stays known as long as their step lasts."""
        was, now = before.get("analysis") or {}, after.get("analysis") or {}
        if not now or (was.get("window"), was.get("step")) != (now.get("window"), now.get("step")):
            return
        looked = was.get("observedAt") != now.get("observedAt")
        if now["startedAt"] != was["startedAt"] or now.get("looks", 0) != was.get("looks", 0) + looked:
            self._say("O15 looks", f"{name}: {_looks(was)}, then {_looks(now)}")

    def _check_acknowledged(self, name: str, before: Status, after: Status) -> None:
        """A step begins, and a candidate becomes stable, once routers do what that asks for."""
        was, now = before.get("analysis") or {}, after.get("analysis") or {}
        running = self._running(name, after.get("router", ""))
        if now and (was.get("window"), was.get("step")) != (now.get("window"), now.get("step")):
            wanted = {key: weight for key, weight in _shares(before).items() if weight}
            if running is None or running.analysis.window != now["window"] or _weights(running) != wanted:
                self._say("O15 acknowledged", f"{name}: {now['window']} begins before routers divide so")
        promoted = after.get("stable")
        if promoted and promoted == before.get("candidate") and running is not None:
            alone = _weights(running) == {promoted: 100}
            if before.get("stable") and not alone:
                self._say("O15 acknowledged", f"{name}: {promoted} is stable before routers know")

    def _running(self, name: str, router: str) -> config.Service | None:
        if router not in self._site.routers.known():
            return None
        services = self._site.routers.running(router).services
        return next((service for service in services if service.name == name), None)


def _shares(rollout: Status) -> dict[str, int]:
    return {share["revision"]: share["weight"] for share in rollout.get("traffic") or ()}


def _weights(service: config.Service) -> dict[str, int]:
    return {variant.name: variant.weight for variant in service.variants if variant.weight}


def _shares_engines(rollout: Status) -> bool:
    return revision_of(rollout.get("candidate") or "") == revision_of(rollout.get("stable") or "")


def _looks(analysis: Mapping[str, Any]) -> str:
    return f"{analysis.get('looks', 0)} looks since {analysis['startedAt']}"


def _most(service: Mapping[str, Any], rollout: Status) -> int:
    """The most that a candidate may have where its rollout is, by what is declared."""
    declared = service["spec"].get("rollout") or {}
    weights: list[int] = [step["weight"] for step in declared.get("steps") or ()]
    index = rollout.get("stepIndex", 0)
    match rollout.get("step"):
        case Step.CANARY | Step.CAPACITY if not rollout.get("stable"):
            return 100
        case Step.CAPACITY if weights:
            return max(weights[:index], default=0)
        case Step.CANARY if weights:
            return max(weights[: index + 1])
        case Step.CANARY | Step.CAPACITY:
            return 0 if declared.get("strategy") == "BlueGreen" else 100
        case Step.TRIAL | Step.STARTING | Step.DRAINING:
            return 0
        case _:
            return 100
