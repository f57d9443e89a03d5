"""A gate of the user's own: what it's told, and what counts as its yes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.trial.conftest import Run
from tests.trial.scripted import Reply, Script

STEP = {
    "name": "chat",
    "namespace": "team-a",
    "phase": "Progressing",
    "metadata": {"ticket": "4711"},
    "rollout": {"stable": "chat-1", "candidate": "chat-2", "stepIndex": 1, "weight": 20},
}


def gate(script: Script, **more: Any) -> dict[str, Any]:
    return {"gate": {"name": "judge", "service": {"url": f"{script.url}/gate"}, "step": STEP, **more}}


SAYS: dict[str, tuple[str, Reply, bool, str]] = {
    "yes": ("Verdict", (200, {"pass": True, "message": "fine"}), True, "fine"),
    "no, and why": ("Verdict", (200, {"pass": False, "message": "too slow"}), False, "too slow"),
    "no by a status": (
        "Verdict",
        (403, {"message": "closed"}),
        False,
        "answered by 403: closed",
    ),
    "no by a page": (
        "Verdict",
        (200, b"<html>log in</html>"),
        False,
        'answered without {"pass": true} or {"pass": false}, which is no yes: <html>log in</html>',
    ),
    "no by a word": (
        "Verdict",
        (200, {"pass": "true"}),
        False,
        'answered without {"pass": true} or {"pass": false}, which is no yes: {"pass": "true"}',
    ),
    "yes by a status, as webhooks of Flagger": ("Status", (202, b""), True, ""),
    "no by a status, as webhooks of Flagger": ("Status", (403, b"halted"), False, "answered by 403: halted"),
    "somewhere else": ("Status", (302, b""), False, "answered by 302: "),
}


@pytest.mark.parametrize(("accept", "reply", "passed", "message"), SAYS.values(), ids=SAYS)
def test_it_says(trial: Run, script: Script, accept: str, reply: Reply, passed: bool, message: str) -> None:
    script.by_path["/gate"] = lambda _: reply
    code, found = trial(gate(script, accept=accept))
    assert (code, found) == (
        0,
        {"passed": passed, "gate": {"name": "judge", "passed": passed, "message": message.strip()}},
    )


def test_it_is_told_the_step_and_given_its_token(trial: Run, script: Script, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hush")
    script.by_path["/gate"] = lambda _: (200, {"pass": True})
    asked = gate(script)
    asked["gate"]["service"]["tokenFile"] = str(tmp_path / "token")
    trial(asked)
    assert [(one.body, one.token) for one in script.asked] == [(STEP, "Bearer hush")]


@pytest.mark.parametrize("accept", ["Verdict", "Status"])
@pytest.mark.parametrize("status", [429, 500, 503, 599])
def test_no_judgement_by_a_gate_that_is_in_trouble(
    trial: Run, script: Script, status: int, accept: str
) -> None:
    script.by_path["/gate"] = lambda _: (status, b'{"pass": false}')
    code, found = trial(gate(script, accept=accept) | {"patience": {"tries": 2}})
    assert (code, found["reason"], len(script.asked)) == (1, "Unanswered", 2)
    assert f"the last: {status}" in found["message"]


@pytest.mark.parametrize("content", [None, b"", b"two\nlines", b"\xff"])
def test_a_token_that_can_not_be_used_is_never_shown(
    trial: Run, script: Script, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    asked = gate(script)
    asked["gate"]["service"]["tokenFile"] = str(path)
    code, found = trial(asked)
    assert (code, found["reason"], script.asked) == (1, "TokenMissing", [])
    assert "lines" not in found["message"]
