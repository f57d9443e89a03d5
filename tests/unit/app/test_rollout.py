"""`pointsman rollout`: what is drawn of each status, on a terminal and into a pipe, and how a watch ends.

What is drawn is compared with the files in `drawn`; POINTSMAN_REDRAW=1 writes them.
"""

from __future__ import annotations

import copy
import io
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pointsman.app import rollout_command
from pointsman.app.drawing import Piece, Tone, clean, line, rendered
from pointsman.app.main import main
from pointsman.app.rollout_seen import Seen, lasting
from pointsman.app.rollout_view import view
from pointsman.app.screen import Screen
from pointsman.kube.protocol import NotFound, Retryable
from tests.simulation.cluster import Cluster
from tests.simulation.stories import serving
from tests.unit.app.rollouts import CANARY, NOW, SETTLED, SHOWN, condition, service

DRAWN = Path(__file__).parent / "drawn"


def drawn(service: Any, **how: Any) -> str:
    return rendered(view(Seen(service, NOW)), colour=False, **how)


@pytest.mark.parametrize("name", SHOWN)
def test_it_is_drawn(name: str) -> None:
    path, text = DRAWN / f"{name}.txt", drawn(SHOWN[name])
    if os.environ.get("POINTSMAN_REDRAW"):
        path.write_text(text)
    assert text == path.read_text()
    assert "\x1b" not in text


def test_every_picture_is_of_something() -> None:
    drawings = {path.stem for path in DRAWN.glob("*.txt") if not path.stem.startswith("plan-")}
    assert drawings == set(SHOWN)


def test_a_terminal_gets_colours_and_no_line_that_wraps() -> None:
    text = rendered(view(Seen(SHOWN["canary-analysing"], NOW)), colour=True, width=60)
    assert "\x1b[36m" in text
    plain = drawn(SHOWN["canary-analysing"], width=60)
    assert max(map(len, plain.splitlines())) <= 60
    assert "…" in plain


def test_a_terminal_without_utf8_gets_ascii() -> None:
    assert drawn(SHOWN["canary-analysing"], ascii_only=True).isascii()


def test_what_others_said_gives_no_orders_to_the_terminal() -> None:
    evil = copy.deepcopy(SHOWN["canary-analysing"])
    evil["status"]["conditions"][1]["message"] = "\x1b]0;owned\x07 and\r\nmore"
    evil["status"]["rollout"]["analysis"]["gates"][0]["metric"] = "\x1b[2J"
    evil["status"]["rollout"]["candidate"] = "x\x9b"
    assert all(mark == "\n" or mark.isprintable() for mark in drawn(evil))
    assert clean("a\tb") == "a b"


def test_wide_letters_are_counted_as_terminals_do() -> None:
    assert rendered([line("模型模型", Piece("!", Tone.BAD))], colour=False, width=6) == "模型…\n"


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(seconds=9.7), "9s"),
        (timedelta(minutes=2), "2m"),
        (timedelta(seconds=125), "2m05s"),
        (timedelta(hours=2, minutes=5), "2h05m"),
        (timedelta(days=3, hours=4), "3d4h"),
    ],
)
def test_durations(duration: timedelta, words: str) -> None:
    assert lasting(duration) == words


class Scripted:
    """A Kube that gives one answer after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def get(self, *_: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def versioned(name: str, version: str) -> Any:
    found = copy.deepcopy(SHOWN[name])
    found["metadata"]["resourceVersion"] = version
    return found


async def watched(*answers: Any, redraws: bool = False) -> tuple[int, str]:
    out, kube = io.StringIO(), Scripted(*answers)

    async def sleep(_: float) -> None:
        return

    shown = Screen(out, colour=redraws, redraws=redraws)
    code = await rollout_command.follow(
        kube,  # type: ignore[arg-type]
        "team-a",
        "chat",
        shown,
        interval=1,
        now=lambda: NOW,
        sleep=sleep,
    )
    assert kube.answers == []
    return code, out.getvalue()


async def test_a_watch_ends_with_0_once_all_is_done() -> None:
    same = versioned("canary-analysing", "1")
    code, text = await watched(same, same, versioned("surge", "2"), versioned("settled", "3"))
    assert code == 0
    assert text.count("chat  team-a") == 3, "a log gets what changed, once"
    assert "\x1b" not in text


async def test_a_watch_ends_with_1_where_the_candidate_is_rejected() -> None:
    code, text = await watched(versioned("canary-analysing", "1"), versioned("rejected", "2"))
    assert code == 1
    assert "It isn't tried again" in text


async def test_a_watch_does_not_end_by_a_status_of_another_generation() -> None:
    code, _ = await watched(versioned("not-yet-looked-at", "1"), versioned("settled", "2"))
    assert code == 0


async def test_a_watch_outlives_a_server_that_does_not_answer() -> None:
    code, text = await watched(
        versioned("surge", "1"), Retryable("refused"), Retryable("refused"), versioned("settled", "2")
    )
    assert code == 0
    assert text.count("no answer, trying again: refused") == 1


async def test_a_terminal_is_redrawn_in_place() -> None:
    _, text = await watched(versioned("surge", "1"), versioned("settled", "2"), redraws=True)
    height = drawn(SHOWN["surge"]).count("\n")
    assert f"\x1b[{height}A\r\x1b[J" in text


async def test_a_service_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="there is no LLMService 'chat' in namespace 'team-a'"):
        await watched(NotFound("404"))


def test_a_proportion_of_nothing_is_drawn_too() -> None:
    odd = service(CANARY, {**SETTLED, "traffic": []}, condition("Ready", False, "X"))
    odd["status"]["rollout"]["stable"] = None
    assert "chat" in drawn(odd)


def test_without_a_cluster_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert main(["rollout", "chat", "--kubeconfig", str(tmp_path / "none")]) == 2
    assert "pointsman rollout: no way to an API server by kubeconfig" in capsys.readouterr().err


async def test_a_service_that_runs_is_drawn_from_what_the_operator_says_of_it() -> None:
    cluster = Cluster()
    stable = await serving(cluster)
    out = io.StringIO()
    shown = Screen(out, colour=False, redraws=False)
    assert await rollout_command.once(cluster.kube, "team-a", "chat", shown, lambda: cluster.now) == 0
    assert f"stable  {stable}  100 %" in out.getvalue()
    assert "no change is on its way" in out.getvalue()
