"""The scripted engine of the scenarios behind the real entrypoint, and how its answers are judged."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.load import STREAMED, WHOLE, Kind, judged
from tests.engine.entrypoint import Entrypoint

SCRIPTED = Path(__file__).resolve().parents[2] / "e2e" / "scripted"
EVENT = b'data: {"system_fingerprint":"p","choices":[{"finish_reason":%b}]%b}\n\n'


def post(port: int, document: dict[str, Any]) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(document))
        response = connection.getresponse()
        assert response.status == 200
        return response.read()
    finally:
        connection.close()


def test_it_becomes_ready_and_answers_in_full(entrypoint: Callable[..., Entrypoint]) -> None:
    launcher = f"{sys.executable} {SCRIPTED / 'engine.py'}"
    running = entrypoint(
        env={"POINTSMAN_LAUNCHER": launcher, "HOSTNAME": "pod-1"},
        args=("--load-format=dummy",),
        model=SCRIPTED / "model",
    )
    running.until("Ready")
    for kind in (WHOLE, STREAMED):
        asked = {"max_tokens": kind.tokens, "token_seconds": 0.001, "stream": kind.streamed}
        assert judged(post(running.port, asked), kind) == ("pod-1", ""), kind.name


@pytest.mark.parametrize(
    ("kind", "body", "wrong"),
    [
        pytest.param(STREAMED, b"", "ends with", id="nothing"),
        pytest.param(STREAMED, EVENT % (b"null", b""), "ends with", id="a stream without its end"),
        pytest.param(
            STREAMED,
            EVENT % (b'"abort"', b"") + b"data: [DONE]\n\n",
            "asked for",
            id="a stream cut by its engine",
        ),
        pytest.param(
            STREAMED,
            EVENT % (b'"length"', b',"usage":{"completion_tokens":3}') + b"data: [DONE]\n\n",
            "asked for",
            id="tokens that are missing",
        ),
        pytest.param(
            STREAMED, b'data: {"error":{"code":"engine_failed"}}\n\n', "engine_failed", id="an error event"
        ),
        pytest.param(WHOLE, b'{"choices":[],"usage":null}', "asked for", id="an answer without choices"),
    ],
)
def test_an_answer_that_is_not_whole_is_a_failure(kind: Kind, body: bytes, wrong: str) -> None:
    assert wrong in judged(body, kind)[1]
