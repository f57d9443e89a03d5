"""What tests of trials share: a scripted counterpart, and a trial that is run as its Job would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pointsman_trial import asking
from pointsman_trial.main import run
from tests.trial.scripted import Script, serving

Run = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]


@pytest.fixture
def script() -> Iterator[Script]:
    with serving(Script()) as found:
        yield found


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> Run:
    """Runs a document against the script; its exit status, and what its termination message holds."""
    monkeypatch.setattr(asking, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(asking, "LONGEST_PAUSE_S", 0.02)

    def execute(document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        path, log = tmp_path / "trial.json", tmp_path / "termination-log"
        path.write_text(json.dumps({"format": 1, **document}))
        code = run(path, log)
        message = log.read_bytes()
        assert len(message) <= 4096
        return code, json.loads(message)

    return execute


@pytest.fixture
def target(script: Script) -> dict[str, Any]:
    return {"url": f"{script.url}/ask/chat", "candidate": "chat-2.p.abc", "stable": "chat-1", "model": "chat"}
