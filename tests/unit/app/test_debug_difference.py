"""Where two decisions differ, in words that name objects."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.app.debug_difference import LONGEST, between

SAME: dict[str, Any] = {
    "kind": "Service",
    "metadata": {"name": "a"},
    "spec": {"ports": [{"name": "http", "port": 80}]},
}

DIFFERENCES: dict[str, tuple[Any, Any, list[str]]] = {
    "nothing": (SAME, SAME, []),
    "a field of another value": ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: 1 became 2"]),
    "a field that came": ({}, {"a": [1]}, ["a: added [1]"]),
    "a field that went": ({"a": None}, {}, ["a: removed null"]),
    "a number that became a text": ({"a": 1}, {"a": "1"}, ['a: 1 became "1"']),
    "a truth that became a number": ({"a": True}, {"a": 1}, ["a: true became 1"]),
    "an object among others": (
        {"desired": [SAME]},
        {"desired": [{**SAME, "spec": {"ports": [{"name": "http", "port": 81}]}}]},
        ["desired[Service a].spec.ports[http].port: 80 became 81"],
    ),
    "an object that came": (
        {"desired": []},
        {"desired": [{"kind": "Job", "metadata": {"name": "b"}}]},
        ['desired[Job b]: added {"kind": "Job", "metadata": {"name": "b"}}'],
    ),
    "a condition": (
        {"conditions": [{"type": "Ready", "status": "True"}]},
        {"conditions": [{"type": "Ready", "status": "False"}]},
        ['conditions[Ready].status: "True" became "False"'],
    ),
    "another order": ({"args": ["--a", "--b"]}, {"args": ["--b", "--a"]}, ["args: in another order"]),
    "a text among texts": (
        {"args": ["--a=1", "--b"]},
        {"args": ["--a=2", "--b"]},
        ['args["--a=1"]: removed "--a=1"', 'args["--a=2"]: added "--a=2"'],
    ),
    "items that are called alike": (
        {"x": [{"name": "a", "v": 1}, {"name": "a", "v": 2}]},
        {"x": [{"name": "a", "v": 1}, {"name": "a", "v": 3}]},
        ["x[1].v: 2 became 3"],
    ),
    "something long": (
        {"a": "x" * 500},
        {"a": ""},
        [f'a: "{"x" * (LONGEST - 1)}… (502 characters) became ""'],
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_tells(before: Any, after: Any, expected: list[str]) -> None:
    assert list(between(before, after)) == expected
