"""Canaries under load, one namespace each: what the candidate does, and what has to become of it.

Every case sends requests at its own rate through the real router; nine in ten go to the stable revision. The
engines are scripted, so what is wrong with a candidate is known to the percent.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from e2e.cluster import Cluster
from e2e.conditions import condition, is_ready, shares, told
from e2e.load import STREAMED, Load
from e2e.manifests import scripted
from e2e.namespace import Manifest, Namespace
from e2e.waiting import wait_for

SERVICE: Final = "llmservice/chat"
READY_WITHIN_S: Final = 180.0
CANARY_WITHIN_S: Final = 180.0
RATE: Final = 60.0
FIRST: Final = 0.1
"""Seconds to a first token of the stable revision, the median."""
WEIGHT: Final = 10
MUCH: Final = {"scripted-first": str(FIRST)}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One candidate, and the end that its rollout has to come to."""

    name: str
    candidate: Mapping[str, str]
    """Arguments of its engines."""
    ends: str
    """`rejected`, `promoted` or `waits`."""
    told: str = ""
    """What Ready has to say of it."""
    rate: float = RATE
    within_intervals: float = 0.0
    """Within how many analysis intervals of the step's begin it ends; of a case that waits, how long it's
    watched."""
    interval_s: int = 60


CASES: Final = (
    Case("slow", {"scripted-first": str(2 * FIRST)}, "rejected", "timeToFirstToken", within_intervals=2.0),
    Case("failing", {**MUCH, "scripted-fails": "0.05"}, "rejected", "errorRate", within_intervals=2.0),
    Case("good", {**MUCH, "scripted-says": "lo "}, "promoted", within_intervals=20.0),
    Case("starved", {**MUCH, "scripted-says": "lo "}, "waits", "AwaitingSamples", 1.0, within_intervals=4.0),
)


@dataclass(slots=True)
class Seen:
    """What became of a case; times by time.monotonic()."""

    case: Case
    began: float = 0.0
    """When the step with traffic was first seen."""
    ended: float = 0.0
    seconds: float = 0.0
    """From the step's begin to the end, by status' own clock where it has one."""
    requests: int = 0
    candidate_requests: int = 0
    """Requests that the candidate answered."""
    failed: int = 0
    """Requests that weren't answered in full."""
    says: str = ""
    problems: list[str] = field(default_factory=list)


def run(case: Case, cluster: Cluster, namespace: Namespace, image: str) -> Seen:
    """Brings the stable revision up, changes it under load, and waits for the end of the rollout."""
    seen = Seen(case)
    namespace.apply(_service(case, image, MUCH))
    stable = namespace.wait_until_ready(SERVICE, READY_WITHIN_S)["status"]["rollout"]["stable"]
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Load(address, "chat", case.rate, (STREAMED,)) as load,
    ):
        wait_for("the first answers", lambda: load.outcomes, 60.0, seen=lambda: str(load))
        declared = _service(case, image, case.candidate)
        namespace.apply(declared)
        generation = namespace.the(SERVICE)["metadata"]["generation"]
        canary = _wait_for_traffic(namespace)
        seen.began, candidate = time.monotonic(), canary["status"]["rollout"]["candidate"]
        last = _wait_for_end(case, namespace, generation)
        seen.ended = time.monotonic()
        load.stop()
    _judge(case, seen, canary, last, stable, candidate)
    seen.requests, seen.failed = len(load.outcomes), len(load.failures)
    seen.candidate_requests = sum(o.revision == candidate for o in load.outcomes)
    seen.problems += _judge_load(case, load, candidate)
    seen.problems += _untouched(namespace.the(SERVICE), declared, generation)
    return seen


def _service(case: Case, image: str, arguments: Mapping[str, str]) -> Manifest:
    rollout = {
        "strategy": "Canary",
        "steps": [{"weight": WEIGHT, "minSeconds": case.interval_s}],
        "analysis": {"intervalSeconds": case.interval_s, "warmUp": {"requests": 20}},
    }
    return scripted("chat", image, engine={"args": dict(arguments)}, rollout=rollout, drainSeconds=5)


def _wait_for_traffic(namespace: Namespace) -> Manifest:
    """The service once its candidate gets requests and every router knows."""
    last: Manifest = {}

    def look() -> Manifest | None:
        nonlocal last
        last = namespace.the(SERVICE)
        rollout = last["status"]["rollout"]
        return last if rollout["step"] == "Canary" and rollout.get("analysis") else None

    return wait_for("the candidate to get requests", look, CANARY_WITHIN_S, seen=lambda: told(last))


def _wait_for_end(case: Case, namespace: Namespace, generation: int) -> Manifest:
    """The service at the rollout's end, or, where it has to wait, after so many intervals."""
    last: Manifest = {}
    limit = case.within_intervals * case.interval_s

    def look() -> Manifest | None:
        nonlocal last
        last = namespace.the(SERVICE)
        rejected = condition(last, "Ready").reason == "CanaryRejected"
        promoted = is_ready(last) and last["metadata"]["generation"] == generation
        return last if rejected or promoted else None

    if case.ends == "waits":
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline and look() is None:
            time.sleep(1.0)
        return last
    return wait_for(f"a candidate to be {case.ends}", look, limit + 60.0, seen=lambda: told(last))


def _end_of(last: Manifest) -> str:
    """What status says has become of the candidate."""
    ready = condition(last, "Ready")
    if ready.status == "True":
        return "promoted"
    return "rejected" if ready.reason == "CanaryRejected" else "waits"


def _judge(case: Case, seen: Seen, canary: Manifest, last: Manifest, stable: str, candidate: str) -> None:
    """Notes what isn't as the case's end has it."""
    rollout, seen.says = last["status"]["rollout"], str(condition(last, "Ready"))
    seen.seconds = seen.ended - seen.began
    if case.ends == "rejected":
        seen.seconds = _seconds_between(canary["status"]["rollout"], rollout, seen.seconds)
    traffic = shares(rollout)
    rests_on = candidate if case.ends == "promoted" else stable
    expected = {stable: 100 - WEIGHT, candidate: WEIGHT} if case.ends == "waits" else {rests_on: 100}
    checks = {
        f"it {_end_of(last)}: {told(last)}": _end_of(last) == case.ends,
        "Available isn't True": condition(last, "Available").status == "True",
        f"the stable revision is {rollout['stable']}": rollout["stable"] == rests_on,
        f"traffic is {traffic}": traffic == expected,
        f"Ready says {seen.says}": case.told in seen.says,
    }
    if case.ends == "rejected":
        checks["Stalled isn't True"] = condition(last, "Stalled").status == "True"
        late = f"it took {seen.seconds:.0f} s from the step's begin"
        checks[late] = seen.seconds <= case.within_intervals * case.interval_s
    seen.problems += [problem for problem, holds in checks.items() if not holds]


def _seconds_between(began: Mapping[str, Any], ended: Mapping[str, Any], otherwise: float) -> float:
    """From the begin of a step to the rejection, by what status says; `otherwise` where it doesn't."""
    rejections = ended.get("rejections") or ()
    if not rejections:
        return otherwise
    return (_moment(rejections[0]["at"]) - _moment(began["analysis"]["startedAt"])).total_seconds()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _judge_load(case: Case, load: Load, candidate: str) -> Iterator[str]:
    """Every request was answered, but those that a failing candidate refused itself."""
    allowed = {candidate} if "scripted-fails" in case.candidate else set()
    unexplained = [o for o in load.failures if o.revision not in allowed]
    if unexplained:
        yield f"{len(unexplained)} requests failed: {unexplained[:3]}"
    if load.sent_a_second < 0.9 * case.rate:
        yield f"only {load.sent_a_second:.0f} requests a second were sent"


def _untouched(last: Manifest, declared: Manifest, generation: int) -> Iterator[str]:
    """The spec as it was declared: same generation, and nobody but who declared it owns a field of it."""
    if last["metadata"]["generation"] != generation:
        yield "the generation has changed by itself"
    owners = {
        entry["manager"]
        for entry in last["metadata"].get("managedFields") or ()
        if "f:spec" in (entry.get("fieldsV1") or {})
    }
    if any(owner.startswith("pointsman") for owner in owners):
        yield f"fields of spec are owned by {owners}"
    if last["spec"]["engine"]["args"] != declared["spec"]["engine"]["args"]:
        yield f"spec.engine.args is {last['spec']['engine']['args']}"


def run_all(cases: Mapping[Case, Namespace], cluster: Cluster, image: str) -> list[Seen]:
    """All cases at the same time; one that breaks off says why among its problems."""
    found: dict[Case, Seen] = {}

    def one(case: Case, namespace: Namespace) -> None:
        try:
            found[case] = run(case, cluster, namespace, image)
        except Exception as error:
            found[case] = Seen(case, problems=[f"{type(error).__name__}: {error}"])

    threads = [threading.Thread(target=one, args=item, daemon=True) for item in cases.items()]
    for thread in threads:
        thread.start()
    with contextlib.suppress(KeyboardInterrupt):
        for thread in threads:
            thread.join()
    return [found[case] for case in cases if case in found]
