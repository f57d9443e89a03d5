"""What counts as Kubernetes' sign of a cause, and the table of causes itself, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.causes import signs
from e2e.causes.__main__ import CAUSES, LEAST
from e2e.scripted.engine import Script
from e2e.watching import Sign, View, Watcher
from pointsman.api.conditions import Reason

Manifest = dict[str, Any]


def pod(role: str = "engine", *, container: Manifest | None = None, **status: Any) -> Manifest:
    """A pod of a role, as the API server lists it."""
    listed = {"containerStatuses": [container]} if container else {}
    meta = {"namespace": "team-a", "name": f"{role}-1", "labels": {signs.ROLE: role}}
    return {"metadata": meta, "status": {**status, **listed}}


def said(type_: str, status: str, message: str = "", reason: str = "Because") -> Manifest:
    """A status of one condition."""
    return {"conditions": [{"type": type_, "status": status, "reason": reason, "message": message}]}


def service(name: str = "chat", **status: Any) -> Manifest:
    """An LLMService with this status."""
    return {"metadata": {"namespace": "team-a", "name": name, "generation": 1}, "status": status}


def view(kind: str, item: Manifest) -> View:
    """A namespace that holds one object."""
    made = View()
    made.held[kind][item["metadata"]["name"]] = item
    return made


def waits(reason: str) -> Manifest:
    """A container that can't run."""
    return {"state": {"waiting": {"reason": reason}}}


def ends(code: int, state: str = "state") -> Manifest:
    """A container that has ended."""
    return {state: {"terminated": {"exitCode": code}}}


NO_ROOM = said("PodScheduled", "False", "0/1 nodes are available: 1 Insufficient cpu.")
CASES: dict[str, tuple[Sign, View, bool]] = {
    "the scheduler's words": (signs.unscheduled("Insufficient"), view("pods", pod(**NO_ROOM)), True),
    "other words": (signs.unscheduled("taint"), view("pods", pod(**NO_ROOM)), False),
    "another role's pod": (signs.unscheduled("Insufficient"), view("pods", pod("router", **NO_ROOM)), False),
    "a pod with a node": (signs.scheduled, view("pods", pod(**said("PodScheduled", "True"))), True),
    "no image": (
        signs.waiting("ErrImagePull"),
        view("pods", pod(container=waits("ErrImagePull"))),
        True,
    ),
    "a crash before this start": (signs.ended(), view("pods", pod(container=ends(1, "lastState"))), True),
    "an orderly end is no crash": (signs.ended(), view("pods", pod(container=ends(0))), False),
    "an orderly end is a run": (
        signs.running("resolve"),
        view("pods", pod("resolve", container=ends(0))),
        True,
    ),
    "thrown out": (signs.evicted, view("pods", pod(reason="Evicted")), True),
    "nobody ready": (signs.none_ready, view("pods", pod(**said("Ready", "False"))), True),
    "one of two ready": (signs.fewer_ready(2), view("pods", pod(**said("Ready", "True"))), True),
    "none of two ready": (signs.fewer_ready(2), view("pods", pod(**said("Ready", "False"))), False),
    "our reason with our words": (
        signs.says("chat", "EngineFailed", "shape"),
        view("llmservices", service(**said("EngineHealthy", "False", "the shape", "EngineFailed"))),
        True,
    ),
    "our reason without the words": (
        signs.says("chat", "EngineFailed", "shape"),
        view("llmservices", service(**said("EngineHealthy", "False", "an error", "EngineFailed"))),
        False,
    ),
    "a reason that repeats another condition's": (
        signs.says("chat", "EngineFailed", ""),
        view("llmservices", service(**said("Stalled", "False", "", "EngineFailed"))),
        False,
    ),
    "weights on their way": (
        signs.loading("chat"),
        view("llmservices", service(loading={"bytesLoaded": 5})),
        True,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_signs(case: str) -> None:
    sign, shown, expected = CASES[case]
    assert bool(sign(shown)) is expected


def test_every_cause_has_a_name_of_its_own_and_a_reason_that_there_is() -> None:
    names = [cause.name for cause in CAUSES]
    assert len(set(names)) == len(names) > LEAST
    known = {reason.value for reason in Reason}
    assert {cause.reason for cause in CAUSES if not cause.shown} <= known


def test_a_script_is_read_from_the_engines_arguments() -> None:
    told = Script.of(["--port=8000", "--scripted-says=Paris ", "--scripted-hogs=5", "--scripted-loads=1.5"])
    assert told == Script(says="Paris ", hogs=5, loads=1.5)


async def test_a_watcher_wakes_who_waits_and_tells_of_every_version() -> None:
    watcher, heard = Watcher("http://nobody"), list[str]()
    watcher.listen(lambda kind, item: heard.append(f"{kind} {item['metadata']['name']}"))
    watcher._take("llmservices", service(), gone=False)
    await watcher.until("team-a", lambda it: it.get("llmservices", "chat"), 1.0, "it")
    watcher._take("llmservices", service(), gone=True)
    await watcher.until("team-a", signs.gone("llmservices", "chat"), 1.0, "it to be gone")
    assert heard == ["llmservices chat"]
