"""Events: what is told, what isn't, and that they never stand in the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pointsman.api.names import EVENT
from pointsman.core.decision import Note
from pointsman.engine.events import Recorder, changes
from pointsman.kube import Retryable
from pointsman.kube.twin import Call, MemoryKube

START = datetime(2026, 1, 1, tzinfo=UTC)


def service(**conditions: tuple[str, str]) -> dict[str, Any]:
    """An LLMService with these conditions: type -> (status, reason)."""
    listed = [
        {"type": kind, "status": status, "reason": reason, "message": f"about {reason}"}
        for kind, (status, reason) in conditions.items()
    ]
    metadata = {"name": "chat", "namespace": "team-a", "uid": "u1"}
    return {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "LLMService",
        "metadata": metadata,
        "status": {"conditions": listed},
    }


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(
            service(), service(Ready=("Unknown", "NotYetReported")), [], id="nothing known yet: nothing"
        ),
        pytest.param(
            service(),
            service(Ready=("False", "Progressing"), Available=("False", "NoReadyReplicas")),
            [("Progressing", False)],
            id="the beginning: progress, and no alarm that nothing serves yet",
        ),
        pytest.param(
            service(Ready=("False", "Progressing")),
            service(Ready=("True", "Answering"), Available=("True", "Serving")),
            [("Serving", False), ("Answering", False)],
            id="up",
        ),
        pytest.param(
            service(Ready=("True", "Answering")),
            service(Ready=("True", "Answering")),
            [],
            id="no change, no event",
        ),
        pytest.param(
            service(Ready=("False", "Progressing")),
            service(Ready=("False", "InsufficientGPU")),
            [("InsufficientGPU", False)],
            id="another reason is news",
        ),
        pytest.param(
            service(Available=("True", "Serving")),
            service(Available=("False", "NoReadyReplicas")),
            [("NoReadyReplicas", True)],
            id="users lost something: a warning",
        ),
        pytest.param(
            service(),
            service(Stalled=("True", "ArgumentsInvalid")),
            [("ArgumentsInvalid", True)],
            id="stalled: a warning",
        ),
        pytest.param(
            service(Ready=("False", "Progressing"), Stalled=("False", "Progressing")),
            service(Ready=("False", "AwaitingRouter"), Stalled=("False", "AwaitingRouter")),
            [("AwaitingRouter", False)],
            id="what isn't stalled says nothing beside Ready",
        ),
        pytest.param(
            service(Stalled=("True", "ArgumentsInvalid")),
            service(Stalled=("False", "Progressing")),
            [("Progressing", False)],
            id="stalled no more",
        ),
        pytest.param(
            service(), service(EngineHealthy=("False", "OutOfMemory")), [], id="single facts are in Ready"
        ),
    ],
)
def test_transitions(before: dict[str, Any], after: dict[str, Any], told: list[tuple[str, bool]]) -> None:
    assert [(note.reason, note.warning) for note in changes(before, after)] == told


async def test_an_event_says_what_about_whom() -> None:
    kube = MemoryKube()
    recorder = Recorder(kube, now=lambda: START, instance="pod-1")
    await recorder.transitions(service(), service(Stalled=("True", "ArgumentsInvalid")))
    (event,) = await kube.list(EVENT, "team-a")
    assert event["regarding"]["name"] == "chat"
    assert (event["type"], event["reason"]) == ("Warning", "ArgumentsInvalid")
    assert event["note"] == "Stalled: about ArgumentsInvalid"
    assert event["eventTime"] == "2026-01-01T00:00:00.000000Z"


async def test_the_same_words_are_told_once_in_ten_minutes() -> None:
    kube, clock = MemoryKube(), [START]
    recorder = Recorder(kube, now=lambda: clock[0], instance="pod-1")
    note = Note("Flapping", "there and back", warning=True)
    for minutes in (0, 1, 9, 11, 12):
        clock[0] = START + timedelta(minutes=minutes)
        await recorder.record(service(), [note])
    assert len(await kube.list(EVENT, "team-a")) == 2
    await recorder.record(service(), [Note("Flapping", "other words")])
    assert len(await kube.list(EVENT, "team-a")) == 3


async def test_an_event_that_cant_be_written_costs_nothing() -> None:
    def broken(call: Call) -> None:
        raise Retryable("no")

    recorder = Recorder(MemoryKube(before=broken), now=lambda: START, instance="pod-1")
    await recorder.record(service(), [Note("A", "b")])


async def test_a_long_note_is_cut_between_characters() -> None:
    kube = MemoryKube()
    await Recorder(kube, now=lambda: START, instance="p").record(service(), [Note("A", "é" * 1000)])
    (event,) = await kube.list(EVENT, "team-a")
    assert event["note"] == "é" * 512
