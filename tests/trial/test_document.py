"""The document: what is refused, with the field and what would be right, and how the command ends."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pointsman_trial.document import parse
from pointsman_trial.strict import DocumentError
from tests.trial.scripted import Script, completion

WHOLE: dict[str, Any] = {
    "format": 1,
    "target": {"url": "http://r-admin:8081/ask/chat", "candidate": "chat-2", "stable": "chat-1"},
    "suite": {
        "cases": [{"name": "a", "request": {"messages": []}, "assertions": [{"exact": "yes"}], "times": 2}],
        "embeddings": {"bge": {"url": "https://e.example.com/v1/embeddings", "model": "bge"}},
    },
    "equivalence": {"requests": [{"messages": []}]},
    "gate": {"name": "g", "service": {"url": "https://g.example.com"}, "step": {}},
    "patience": {"deadlineSeconds": 60},
}


def case(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["suite"]["cases"][0].update(fields)


def part(name: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document[name].update(fields)


def without(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for name in names:
            del document[name]

    return change


def asserted(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return case(assertions=[fields])


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "another format": (lambda it: it.update(format=2), "format: 2 is not known; this reads format 1"),
    "a field nobody knows": (case(retries=1), "suite.cases[0].retries: unknown field; known are name"),
    "a field that's missing": (
        lambda it: it["suite"]["cases"][0].pop("request"),
        "suite.cases[0].request: missing",
    ),
    "a number for a text": (case(name=3), "suite.cases[0].name: expected str, got int"),
    "yes for a number": (case(times=True), "suite.cases[0].times: expected int, got bool"),
    "a text for a list": (case(assertions="x"), "suite.cases[0].assertions: expected a list"),
    "a list for a mapping": (case(request=[]), "suite.cases[0].request: expected mapping, got list"),
    "a word that is no choice": (
        part("gate", accept="Maybe"),
        "gate.accept: 'Maybe' is not known; known are",
    ),
    "more than is allowed": (case(times=21), "suite.cases[0].times: it must be 1 to 20, not 21"),
    "an empty list": (case(assertions=[]), "suite.cases[0].assertions: its length must be 1 to 16, not 0"),
    "a name with a space": (case(name="a b"), "suite.cases[0].name: 'a b' must be letters, digits"),
    "a name twice": (
        lambda it: it["suite"]["cases"].append(it["suite"]["cases"][0]),
        "suite.cases[1].name: 'a' is there twice",
    ),
    "a case that can't fail": (case(mayFail=2), "suite.cases[0].mayFail: 2 of 2 would let all fail"),
    "a suite that can't fail": (part("suite", mayFail=1), "suite.mayFail: 1 would let all cases fail"),
    "two assertions in one": (
        asserted(exact="a", contains="b"),
        "suite.cases[0].assertions[0]: give exactly one assertion, not 2",
    ),
    "no assertion": (asserted(), "suite.cases[0].assertions[0]: give exactly one assertion, not 0"),
    "an expression that can't be read": (
        asserted(regex="("),
        "suite.cases[0].assertions[0].regex: can't be read: missing ), unterminated",
    ),
    "a schema that is no JSON": (
        asserted(jsonSchema="{]"),
        "suite.cases[0].assertions[0].jsonSchema: no JSON: ",
    ),
    "a schema that is none": (
        asserted(jsonSchema='{"type": "text"}'),
        "suite.cases[0].assertions[0].jsonSchema: no JSON schema: $.type: 'text' is not valid",
    ),
    "an embedding service nobody named": (
        asserted(similarity={"to": "x", "embedding": "other"}),
        "assertions[0].similarity.embedding: no service 'other' among suite.embeddings",
    ),
    "an embedding service without an address": (
        part("suite", embeddings={"bge": {}}),
        "suite.embeddings.bge.url: missing",
    ),
    "an address of another kind": (
        part("target", url="file:///etc/passwd"),
        "target.url: must be a URL of http or https",
    ),
    "an address with a password": (
        lambda it: it["gate"]["service"].update(url="https://me:pw@g.example.com"),
        "gate.service.url: must hold no credentials",
    ),
    "a request no router takes": (
        part("equivalence", requests=[{"messages": "x" * 70000}]),
        "equivalence.requests[0]: larger than the 65536 bytes",
    ),
    "an equivalence with nothing to compare with": (
        lambda it: it["target"].pop("stable"),
        "target.stable: missing; an equivalence compares with it",
    ),
    "a suite for nobody": (without("target"), "target: missing; a suite and an equivalence need it"),
    "nothing to do": (
        without("suite", "equivalence", "gate"),
        "document: give suite, equivalence or gate",
    ),
}


def test_the_whole_of_it_is_read() -> None:
    document = parse(json.dumps(WHOLE))
    assert document.suite is not None
    assert document.suite.cases[0].times == 2
    assert document.suite.embedding("bge").model == "bge"
    assert document.patience.deadline_seconds == 60


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(change: Callable[[dict[str, Any]], None], message: str) -> None:
    document = copy.deepcopy(WHOLE)
    change(document)
    with pytest.raises(DocumentError) as refused:
        parse(json.dumps(document))
    assert message in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "null"])
def test_what_is_no_document_at_all_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="document: "):
        parse(text)


def command(tmp_path: Path, document: object) -> tuple[int, dict[str, Any], str]:
    """The real command; its exit status, its termination message and what it printed."""
    path, log = tmp_path / "trial.json", tmp_path / "log"
    path.write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, "-m", "pointsman_trial", str(path)],
        env={**os.environ, "POINTSMAN_TERMINATION_LOG": str(log)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(log.read_text()), done.stdout + done.stderr


def test_the_command_judges_and_exits_with_0_also_where_it_says_no(
    tmp_path: Path, script: Script, target: dict[str, Any]
) -> None:
    script.by_path["/ask/chat"] = lambda _: completion("no")
    code, found, printed = command(tmp_path, {"format": 1, "target": target, "suite": WHOLE["suite"]})
    assert (code, found["passed"]) == (0, False)
    assert json.loads(printed) == found


def test_the_command_says_what_is_wrong_with_its_document(tmp_path: Path) -> None:
    code, found, _ = command(tmp_path, {"format": 1})
    assert code == 2
    assert found == {"reason": "DocumentInvalid", "message": "document: give suite, equivalence or gate"}
