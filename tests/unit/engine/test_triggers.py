"""From events and lists to keys: whose pass is due."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.api.names import Key
from pointsman.engine.queue import Priority
from pointsman.engine.triggers import ROUTER_PAUSE, Triggers, owners_of

SERVICE, ROUTER = Key("LLMService", "ns", "chat"), Key("LLMRouter", "ns", "default")


class Desk:
    """Records what was added."""

    def __init__(self) -> None:
        self.added: list[tuple[Key, Priority, float]] = []
        self.triggers = Triggers(self._add)

    def _add(self, key: Key, priority: Priority = Priority.NORMAL, after: float = 0.0) -> None:
        self.added.append((key, priority, after))

    def taken(self) -> set[Key]:
        keys, self.added = {key for key, _, _ in self.added}, []
        return keys


def service(name: str = "chat", *, router: str = "", generation: int = 1, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "generation": generation}
    metadata |= more.pop("metadata", {})
    spec = {"routerRef": {"name": router}} if router else {}
    return {"kind": "LLMService", "metadata": metadata, "spec": spec, **more}


def test_a_service_concerns_itself_and_its_router() -> None:
    desk = Desk()
    desk.triggers.own_event("ADDED", service())
    assert desk.taken() == {SERVICE, ROUTER}


def test_a_router_waits_for_the_effects_of_the_service_that_has_changed_unless_that_goes() -> None:
    desk = Desk()
    desk.triggers.own_event("ADDED", service())
    desk.taken()
    desk.triggers.own_event("MODIFIED", service(status={"rollout": {"step": "Starting"}}))
    assert desk.added == [(ROUTER, Priority.NORMAL, ROUTER_PAUSE)]
    desk.taken()
    desk.triggers.own_event("MODIFIED", service(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}))
    assert (ROUTER, Priority.URGENT, 0.0) in desk.added


def test_a_model_that_changes_concerns_the_services_that_name_it() -> None:
    desk = Desk()
    desk.triggers.own_event("ADDED", service() | {"spec": {"modelRef": {"name": "first"}}})
    desk.triggers.own_event("ADDED", service("other"))
    desk.taken()
    metadata = {"name": "first", "namespace": "ns", "uid": "uid-first", "generation": 1}
    desk.triggers.own_event("ADDED", {"kind": "LLMModel", "metadata": metadata})
    assert desk.taken() == {Key("LLMModel", "ns", "first"), SERVICE}
    desk.triggers.own_event("MODIFIED", {"kind": "LLMModel", "metadata": metadata | {"generation": 2}})
    assert desk.taken() == {Key("LLMModel", "ns", "first"), SERVICE}


def test_status_that_somebody_took_is_given_back_and_what_we_write_calls_for_nothing() -> None:
    desk = Desk()
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    desk.triggers.own_event("ADDED", service())
    desk.taken()
    desk.triggers.own_event("MODIFIED", service(status=status))
    assert desk.taken() == set()
    desk.triggers.own_event("MODIFIED", service(status={}))
    assert desk.taken() == {SERVICE}


def test_a_service_that_moves_concerns_the_router_it_left() -> None:
    desk = Desk()
    desk.triggers.own_event("ADDED", service())
    desk.taken()
    desk.triggers.own_event("MODIFIED", service(router="own", generation=2))
    assert desk.taken() == {SERVICE, ROUTER, Key("LLMRouter", "ns", "own")}


def test_a_service_concerns_the_model_it_names_and_the_one_it_left() -> None:
    desk = Desk()
    first, second = Key("LLMModel", "ns", "first"), Key("LLMModel", "ns", "second")
    desk.triggers.own_event("ADDED", service() | {"spec": {"modelRef": {"name": "first"}}})
    assert desk.taken() == {SERVICE, ROUTER, first}
    changed = service(generation=2) | {"spec": {"modelRef": {"name": "second"}}}
    desk.triggers.own_event("MODIFIED", changed)
    assert desk.taken() == {SERVICE, first, second}
    desk.triggers.own_event("DELETED", changed)
    assert desk.taken() == {SERVICE, ROUTER, second}


def test_our_own_status_calls_for_no_pass() -> None:
    desk = Desk()
    desk.triggers.own_event("ADDED", service())
    desk.taken()
    desk.triggers.own_event("MODIFIED", service(status={"conditions": [{"type": "Ready"}]}))
    assert desk.taken() == set()


@pytest.mark.parametrize(
    "status", [{"rollout": {"step": "Traffic"}}, {"startup": [{"revision": "a", "total": 9}]}]
)
def test_a_changed_rollout_or_a_measured_start_concerns_the_router_alone(status: dict[str, Any]) -> None:
    desk = Desk()
    desk.triggers.own_event("ADDED", service())
    desk.taken()
    desk.triggers.own_event("MODIFIED", service(status=status))
    assert desk.taken() == {ROUTER}


def test_what_a_comparison_has_found_so_far_concerns_nobody() -> None:
    desk = Desk()
    desk.triggers.own_event("ADDED", service(status={"rollout": {"step": "Canary"}}))
    desk.taken()
    ticks = {"step": "Canary", "analysis": {"looks": 2}, "failed": ["chat-00000000"]}
    desk.triggers.own_event("MODIFIED", service(status={"rollout": ticks}))
    assert desk.taken() == set()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"generation": 2}, id="spec"),
        pytest.param({"metadata": {"labels": {"a": "b"}}}, id="labels"),
        pytest.param({"metadata": {"finalizers": ["x"]}}, id="finalizers"),
        pytest.param({"metadata": {"uid": "another"}}, id="another object of the same name"),
    ],
)
def test_everything_else_calls_for_one(change: dict[str, Any]) -> None:
    desk = Desk()
    desk.triggers.own_event("ADDED", service())
    desk.taken()
    desk.triggers.own_event("MODIFIED", service(**change))
    assert SERVICE in desk.taken()


def test_deletions_go_first_and_a_first_list_last() -> None:
    desk = Desk()
    desk.triggers.own_event(None, service())
    desk.triggers.own_event("MODIFIED", service(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}))
    desk.triggers.own_event("DELETED", service())
    priorities = [priority for key, priority, _ in desk.added if key == SERVICE]
    assert priorities == [Priority.RESYNC, Priority.URGENT, Priority.URGENT]
    assert not desk.triggers.knows(SERVICE)


@pytest.mark.parametrize(
    ("metadata", "owners"),
    [
        pytest.param({"labels": {"pointsman.dev/service": "chat"}}, {SERVICE}, id="a service's child"),
        pytest.param({"labels": {"pointsman.dev/router": "default"}}, {ROUTER}, id="a router's child"),
        pytest.param(
            {"ownerReferences": [{"kind": "LLMService", "name": "chat", "controller": True}]},
            {SERVICE},
            id="labels taken off by hand: the controller reference tells",
        ),
        pytest.param(
            {"ownerReferences": [{"kind": "LLMService", "name": "chat"}]}, set(), id="not its controller"
        ),
        pytest.param({"labels": {"app": "x"}}, set(), id="somebody else's"),
    ],
)
def test_children_concern_their_owner(metadata: dict[str, Any], owners: set[Key]) -> None:
    child = {"kind": "Deployment", "metadata": {"name": "d", "namespace": "ns", **metadata}}
    assert owners_of(child) == owners


def test_a_child_event_wakes_its_owner() -> None:
    desk = Desk()
    child = {"metadata": {"name": "d", "namespace": "ns", "labels": {"pointsman.dev/service": "chat"}}}
    desk.triggers.child_event("DELETED", child)
    assert desk.added == [(SERVICE, Priority.NORMAL, 0.0)]


def test_a_relist_spreads_what_is_known_and_finds_what_no_event_told() -> None:
    desk = Desk()
    for name in ("known", "changed", "gone"):
        desk.triggers.own_event("ADDED", service(name))
    desk.taken()
    listed = [service("known"), service("changed", generation=2), service("new")]
    missed = desk.triggers.relisted("LLMService", listed, namespace=None, spread=30.0)
    assert {key.name for key in missed} == {"changed", "new", "gone"}
    later = {key.name: after for key, _, after in desk.added if after}
    assert later == {"known": 10.0}
    assert desk.taken() == {
        *(Key("LLMService", "ns", n) for n in ("known", "changed", "new", "gone")),
        ROUTER,
    }
    assert desk.triggers.relisted("LLMService", listed, namespace=None, spread=30.0) == []


def test_a_relist_of_one_namespace_or_kind_says_nothing_about_others() -> None:
    desk = Desk()
    desk.triggers.own_event("ADDED", service())
    assert desk.triggers.relisted("LLMService", [], namespace="other", spread=1.0) == []
    assert desk.triggers.relisted("LLMModel", [], namespace=None, spread=1.0) == []
    assert desk.triggers.knows(SERVICE)


def prompt(kind: str, name: str, family: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "generation": 1}
    return {"kind": kind, "metadata": metadata, "spec": {"family": family} if family else {}}


def test_a_prompt_concerns_the_services_that_name_it() -> None:
    desk = Desk()
    desk.triggers.own_event("ADDED", service() | {"spec": {"promptRef": {"name": "v1"}}})
    assert Key("PromptVersion", "ns", "v1") in desk.taken()
    desk.triggers.own_event("ADDED", prompt("PromptVersion", "v1"))
    assert desk.taken() == {Key("PromptVersion", "ns", "v1"), SERVICE}


def test_a_prompt_concerns_the_suites_of_its_family_and_those_of_any() -> None:
    desk = Desk()
    for name, family in (("ours", "support"), ("theirs", "sales"), ("any", "")):
        desk.triggers.own_event("ADDED", prompt("PromptSuite", name, family))
    desk.taken()
    for event in ("ADDED", "DELETED"):
        desk.triggers.own_event(event, prompt("PromptVersion", "v1", "support"))
        assert desk.taken() == {
            Key("PromptVersion", "ns", "v1"),
            Key("PromptSuite", "ns", "ours"),
            Key("PromptSuite", "ns", "any"),
        }
