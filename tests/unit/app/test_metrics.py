"""What a scrape shows of objects: conditions, traffic, and how long engines took to start."""

from __future__ import annotations

from typing import Any

from pointsman.api.names import API_VERSION, LLMSERVICE, Key
from pointsman.app.metrics import Metrics

STATUS: dict[str, Any] = {
    "rollout": {"stable": "chat-1", "candidate": "chat-2", "step": "Capacity"},
    "startup": [
        {"revision": "chat-2", "total": 40, "weightBytes": 1000},
        {"revision": "chat-1", "scheduling": 3, "load": 20, "total": 33},
        {"revision": "chat-0", "total": 99},
    ],
}


def scraped(metrics: Metrics) -> set[tuple[str, str, float]]:
    """Role, phase and seconds of every start."""
    (family,) = [f for f in metrics.registry.collect() if f.name == "pointsman_startup_seconds"]
    assert all(
        sample.labels["namespace"] == "team-a" and sample.labels["name"] == "chat"
        for sample in family.samples
    )
    return {(s.labels["role"], s.labels["phase"], s.value) for s in family.samples}


def test_starts_of_the_revisions_in_use_are_shown_by_their_role_and_go_with_the_object() -> None:
    metrics = Metrics()
    where = {"namespace": "team-a", "name": "chat"}
    metrics.states.seen(
        {"apiVersion": API_VERSION, "kind": LLMSERVICE.kind, "metadata": where, "status": STATUS}
    )
    assert scraped(metrics) == {
        ("candidate", "total", 40),
        ("stable", "scheduling", 3),
        ("stable", "load", 20),
        ("stable", "total", 33),
    }
    metrics.states.gone(Key(LLMSERVICE.kind, "team-a", "chat"))
    assert scraped(metrics) == set()


def test_a_variants_engines_are_known_by_their_revision_and_the_stable_ones_are_shared() -> None:
    """With a prompt the rollout names variants; rows name the engines that they run on."""
    metrics = Metrics()
    where = {"namespace": "team-a", "name": "chat"}
    rollouts: dict[str, set[tuple[str, float]]] = {
        "chat-2.support.abcdef01": {("stable", 33), ("candidate", 40)},
        "chat-1.support.abcdef02": {("stable", 33)},
    }
    for candidate, shown in rollouts.items():
        rollout = {"stable": "chat-1.support.abcdef01", "candidate": candidate}
        status = {**STATUS, "rollout": rollout}
        metrics.states.seen(
            {"apiVersion": API_VERSION, "kind": LLMSERVICE.kind, "metadata": where, "status": status}
        )
        assert {(role, seconds) for role, phase, seconds in scraped(metrics) if phase == "total"} == shown


def test_a_status_of_another_schema_shows_nothing_and_disturbs_nobody() -> None:
    metrics = Metrics()
    where = {"namespace": "team-a", "name": "chat"}
    odd: list[dict[str, Any]] = [
        {"conditions": [{}]},
        {"startup": [{}]},
        {"rollout": {"traffic": [{}]}},
        {"rollout": 7},
    ]
    for status in odd:
        metrics.states.seen(
            {"apiVersion": API_VERSION, "kind": LLMSERVICE.kind, "metadata": where, "status": status}
        )
        assert scraped(metrics) == set()


def test_an_object_without_status_shows_nothing() -> None:
    metrics = Metrics()
    where = {"namespace": "team-a", "name": "chat"}
    metrics.states.seen({"apiVersion": API_VERSION, "kind": LLMSERVICE.kind, "metadata": where})
    assert scraped(metrics) == set()
