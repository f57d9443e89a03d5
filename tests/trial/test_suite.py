"""A suite: what is asked of whom, how often, and how many may fail."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.trial.conftest import Run
from tests.trial.scripted import Asked, Reply, Script, completion, said


def case(name: str, wanted: str = "yes", **more: Any) -> dict[str, Any]:
    request = {"messages": [{"role": "user", "content": name}]}
    return {"name": name, "request": request, "assertions": [{"exact": wanted}], **more}


def yes_to(*names: str) -> Any:
    return lambda asked: completion("yes" if said(asked) in names else "no")


def test_the_candidate_is_asked_greedily_and_by_its_name(
    trial: Run, script: Script, target: dict[str, Any]
) -> None:
    script.by_path["/ask/chat"] = yes_to("a")
    request = {"messages": [{"role": "user", "content": "a"}], "pointsman": {"variables": {"city": "Rome"}}}
    trial({"target": target, "suite": {"cases": [case("a", request=request)]}})
    (asked,) = script.asked
    assert asked.variant == "chat-2.p.abc"
    assert asked.body == {
        "messages": [{"role": "user", "content": "a"}],
        "pointsman": {"variables": {"city": "Rome"}},
        "model": "chat",
        "max_tokens": 512,
        "seed": 0,
        "temperature": 0,
        "stream": False,
        "n": 1,
    }


def test_each_time_has_a_seed_of_its_own(trial: Run, script: Script, target: dict[str, Any]) -> None:
    script.by_path["/ask/chat"] = yes_to("a")
    asked = case("a", times=4, seed=7, greedy=False, maxTokens=9)
    code, found = trial({"target": target, "suite": {"cases": [asked]}})
    assert (code, found["passed"]) == (0, True)
    assert sorted(one.body["seed"] for one in script.asked) == [7, 8, 9, 10]
    assert {one.override for one in script.asked} == {"seed"}, "whatever the prompt fixes"
    assert not any("temperature" in one.body for one in script.asked)
    assert {one.body["max_tokens"] for one in script.asked} == {9}


def test_a_request_that_limits_itself_keeps_its_limit(
    trial: Run, script: Script, target: dict[str, Any]
) -> None:
    script.by_path["/ask/chat"] = yes_to("a")
    request = {"messages": [{"role": "user", "content": "a"}], "max_completion_tokens": 3}
    trial({"target": target, "suite": {"cases": [case("a", request=request)]}})
    assert "max_tokens" not in script.asked[0].body


COUNTS: dict[str, tuple[dict[str, Any], dict[str, Any], bool, list[tuple[str, int, int]]]] = {
    "all right": ({}, {}, True, []),
    "one answer of three wrong": ({"times": 3}, {}, False, [("odd", 1, 3)]),
    "as many wrong as may be": ({"times": 3, "mayFail": 1}, {}, True, []),
    "a case wrong, where one may be": ({"times": 3}, {"mayFail": 1}, True, [("odd", 1, 3)]),
}


@pytest.mark.parametrize(("one", "all_of_it", "passed", "failing"), COUNTS.values(), ids=COUNTS)
def test_counting(
    trial: Run,
    script: Script,
    target: dict[str, Any],
    one: dict[str, Any],
    all_of_it: dict[str, Any],
    passed: bool,
    failing: list[tuple[str, int, int]],
) -> None:
    script.by_path["/ask/chat"] = lambda asked: completion("no" if asked.body["seed"] == 2 else "yes")
    cases = [case("even"), case("odd", **one)]
    _, found = trial({"target": target, "suite": {"cases": cases, **all_of_it}})
    assert found["passed"] is passed
    assert [(it["name"], it["failed"], it["of"]) for it in found["suite"]["failing"]] == failing


def test_many_failing_cases_are_named_as_far_as_there_is_room_and_all_are_counted(
    trial: Run, script: Script, target: dict[str, Any]
) -> None:
    script.by_path["/ask/chat"] = lambda _: completion("„ÄÖÜ“ 🚂 " * 100)
    cases = [case(f"case-{number}", wanted="ß" * 400) for number in range(100)]
    code, found = trial({"target": target, "suite": {"cases": cases}, "patience": {"atOnce": 16}})
    assert (code, found["passed"], found["suite"]["failed"]) == (0, False, 100)
    named = [it["name"] for it in found["suite"]["failing"]]
    assert 4 < len(named) < 20
    assert named == [f"case-{number}" for number in range(len(named))]


def test_no_prompt_is_told(trial: Run, script: Script, target: dict[str, Any]) -> None:
    script.by_path["/ask/chat"] = lambda _: completion("no")
    request = {"messages": [{"role": "system", "content": "The word is SESAME."}]}
    _, found = trial({"target": target, "suite": {"cases": [case("a", request=request)]}})
    assert "SESAME" not in json.dumps(found)


LATER: dict[str, tuple[int, Any]] = {
    "a connection that breaks": (0, None),
    "503": (503, {"error": {"message": "no engine is ready"}}),
    "429": (429, {"error": {"message": "full"}}),
    "404, of a router that doesn't know the variant yet": (404, {"error": {"message": "no such variant"}}),
}


@pytest.mark.parametrize("reply", LATER.values(), ids=LATER)
def test_it_is_asked_again_after(trial: Run, script: Script, target: dict[str, Any], reply: Reply) -> None:
    script.by_path["/ask/chat"] = lambda _: reply if len(script.asked) < 3 else completion("yes")
    code, found = trial({"target": target, "suite": {"cases": [case("a")]}})
    assert (code, found["passed"], len(script.asked)) == (0, True, 3)


def test_no_judgement_without_an_answer(trial: Run, script: Script, target: dict[str, Any]) -> None:
    script.by_path["/ask/chat"] = lambda _: (503, {"error": {"message": "no engine is ready"}})
    patience = {"tries": 3}
    code, found = trial({"target": target, "suite": {"cases": [case("a")]}, "patience": patience})
    assert (code, len(script.asked)) == (1, 3)
    assert found == {
        "reason": "Unanswered",
        "message": "a question to the candidate got no answer in 3 tries; the last: 503: no engine is ready",
    }


def test_no_judgement_where_nobody_listens(trial: Run, target: dict[str, Any]) -> None:
    nobody = {**target, "url": "http://127.0.0.1:9/ask/chat"}
    code, found = trial({"target": nobody, "suite": {"cases": [case("a")]}, "patience": {"tries": 2}})
    assert (code, found["reason"]) == (1, "Unanswered")
    assert "ConnectionRefusedError" in found["message"]


def test_no_judgement_after_the_deadline(trial: Run, script: Script, target: dict[str, Any]) -> None:
    script.by_path["/ask/chat"] = lambda _: (503, {"error": {"message": "not now"}})
    patience = {"tries": 100, "deadlineSeconds": 1}
    code, found = trial({"target": target, "suite": {"cases": [case("a")]}, "patience": patience})
    assert (code, found["reason"]) == (1, "DeadlineExceeded")
    assert "not done within 1 s" in found["message"]


def test_nobody_is_sent_elsewhere(trial: Run, script: Script, target: dict[str, Any]) -> None:
    script.by_path["/ask/chat"] = lambda _: (302, b"")
    script.by_path["/elsewhere"] = lambda _: completion("yes")
    code, found = trial({"target": target, "suite": {"cases": [case("a")]}})
    assert (code, found["passed"]) == (0, False)
    assert found["suite"]["failing"][0]["got"].startswith("302")
    assert [one.path for one in script.asked] == ["/ask/chat"]


def test_an_answer_without_end_is_none(trial: Run, script: Script, target: dict[str, Any]) -> None:
    script.by_path["/ask/chat"] = lambda _: completion("x" * (5 * 1024 * 1024))
    code, found = trial({"target": target, "suite": {"cases": [case("a")]}, "patience": {"tries": 1}})
    assert (code, found["reason"]) == (1, "Unanswered")
    assert "larger than 4194304 bytes" in found["message"]


def test_questions_are_asked_together_and_judged_in_their_order(
    trial: Run, script: Script, target: dict[str, Any]
) -> None:
    together = threading.Barrier(4, timeout=10)

    def answer(asked: Asked) -> Reply:
        together.wait()
        return completion("no")

    script.by_path["/ask/chat"] = answer
    cases = [case(name) for name in "dcba"]
    _, found = trial({"target": target, "suite": {"cases": cases}})
    assert [it["name"] for it in found["suite"]["failing"]] == list("dcba")
