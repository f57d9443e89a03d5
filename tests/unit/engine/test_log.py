"""Log lines: JSON, one for each pass, with a traceback only for what nobody expected."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from pointsman.engine import log
from pointsman.kube import Conflict


@pytest.fixture
def written() -> Iterator[Any]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    log.configure("info", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


def told(**more: Any) -> None:
    log.log_pass(
        logging.getLogger("pass"), kind="LLMService", namespace="ns", name="chat", seconds=0.25, **more
    )


def test_a_pass_is_one_line(written: Any) -> None:
    told(because="all is well", fields={"generation": 3, "applied": 2, "requeueAfter": None})
    (line,) = written()
    assert line["object"] == "LLMService/ns/chat"
    assert (line["generation"], line["applied"], line["took"]) == (3, 2, 0.25)
    assert line["because"] == "all is well"
    assert "requeueAfter" not in line


def test_an_expected_error_is_one_line_too(written: Any) -> None:
    told(error=Conflict("somebody was faster"))
    (line,) = written()
    assert line["error"] == "Conflict: somebody was faster"
    assert "exception" not in line


def test_an_unexpected_error_brings_its_traceback(written: Any) -> None:
    try:
        raise KeyError("spec")
    except KeyError as error:
        told(error=error)
    (line,) = written()
    assert "Traceback" in line["exception"]


def test_libraries_speak_only_of_trouble(written: Any) -> None:
    logging.getLogger("kopf.objects").info("chatter")
    logging.getLogger("kopf.objects").warning("trouble")
    assert [line["message"] for line in written()] == ["trouble"]
