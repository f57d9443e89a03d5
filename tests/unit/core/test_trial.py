"""Trials: what a document asks for, what the Job is like, and what is made of its result."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pointsman.api import names
from pointsman.core import diagnosis, trial_children
from pointsman.core.trial import (
    Case,
    Embedding,
    Equivalence,
    Suite,
    Trial,
    Unjudged,
    Verdict,
    read,
)
from pointsman_trial import document as theirs
from pointsman_trial.result import Divergence, EquivalenceResult, FailedCase, Result, SuiteResult
from tests.pss import violations
from tests.unit.core.build import SETTINGS, service
from tests.unit.core.pods import container, pod

HELLO = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 1}
ASSERTIONS = (
    {"contains": "Hi"},
    {"maxTokens": 900},
    {"jsonSchema": '{"type": "object"}'},
    {"similarity": {"to": "Hi there", "minPermille": 800, "embedding": "e1"}},
)
SUITE = Suite(
    "support",
    (Case("greets", HELLO, ASSERTIONS, times=3, may_fail=1), Case("plain", HELLO, ({"refusal": False},))),
    may_fail=1,
    seed=7,
    embeddings={"e1": Embedding("http://embed.team-a.svc/v1/embeddings", "bge")},
)
WHOLE = Trial(
    service="chat",
    router="default",
    candidate="chat-1a2b3c4d.support-v7.0f0f0f0f",
    model="chat",
    stable="chat-9f9f9f9f",
    suite=SUITE,
    equivalence=Equivalence((HELLO,), 95),
)


def test_the_trial_reads_what_the_operator_writes() -> None:
    found = theirs.parse(WHOLE.document())
    assert found.target == theirs.Target(
        "http://default-router-admin:8081/ask/chat", WHOLE.candidate, "chat-9f9f9f9f", "chat"
    )
    assert found.suite is not None
    greets, plain = found.suite.cases
    assert (greets.times, greets.may_fail, greets.seed, found.suite.may_fail) == (3, 1, 7, 1)
    assert [one.label for one in greets.assertions] == ["contains", "maxTokens", "jsonSchema", "similarity"]
    assert greets.request == HELLO
    assert found.suite.embedding("e1").model == "bge"
    assert found.equivalence is not None
    assert found.equivalence.min_agreement_percent == 95
    assert (greets.max_tokens, plain.max_tokens) == (901, 256), "a too long answer must be able to be one"


PARTS = {
    "a suite": replace(WHOLE, equivalence=None),
    "an equivalence": replace(WHOLE, suite=None),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_trial_reads_a_part_alone(part: Trial) -> None:
    theirs.parse(part.document())


OTHERS: dict[str, tuple[Trial, bool]] = {
    "the same again": (replace(WHOLE), True),
    "another question": (replace(WHOLE, suite=replace(SUITE, cases=SUITE.cases[1:], may_fail=0)), False),
    "another seed": (replace(WHOLE, suite=replace(SUITE, seed=8)), False),
    "another prompt": (replace(WHOLE, candidate="chat-1a2b3c4d.support-v8.0f0f0f0f"), False),
    "another stable one": (replace(WHOLE, stable="chat-00000000"), False),
    "another name of the suite": (replace(WHOLE, suite=replace(SUITE, name="other")), True),
}


@pytest.mark.parametrize(("other", "same"), OTHERS.values(), ids=OTHERS)
def test_a_trial_has_the_same_name_only_for_the_same_questions(other: Trial, same: bool) -> None:
    assert (other.name == WHOLE.name) is same


def test_for_a_suite_alone_it_does_not_matter_who_is_stable() -> None:
    alone = PARTS["a suite"]
    assert replace(alone, stable="chat-00000000").name == alone.name


def test_the_longest_name_is_a_jobs() -> None:
    longest = replace(WHOLE, candidate=names.revision_name("x" * names.NAME_LIMIT, "0" * 8))
    assert len(longest.name) == 63


def test_a_suite_that_no_config_map_holds_is_known_before() -> None:
    long = Case("long", {"messages": "x" * 8192}, ({"exact": "x"},))
    assert WHOLE.fits
    assert not replace(WHOLE, suite=replace(SUITE, cases=(long,) * 120)).fits


def built(trial: Trial = WHOLE, **settings: Any) -> dict[str, Any]:
    made = trial_children.build(service().metadata, trial, replace(SETTINGS, **settings))
    return {child["kind"]: child for child in made}


def test_the_job_runs_the_operators_image_by_the_document_and_restricted() -> None:
    made = built()
    template = made["Job"]["spec"]["template"]
    (runs,) = template["spec"]["containers"]
    assert runs["image"] == SETTINGS.resolve_image
    assert runs["command"] == ["pointsman-trial", "/etc/pointsman/trial/trial.json"]
    assert template["spec"]["automountServiceAccountToken"] is False
    assert violations(template["spec"]) == []
    assert made["ConfigMap"]["data"] == {"trial.json": WHOLE.document()}
    assert made["ConfigMap"]["immutable"] is True
    assert {made[kind]["metadata"]["name"] for kind in ("Job", "ConfigMap")} == {WHOLE.name}
    assert template["metadata"]["labels"][names.LABEL_REVISION] == "chat-1a2b3c4d"
    assert all(child["metadata"]["ownerReferences"][0]["controller"] for child in made.values())


def test_a_document_that_can_not_be_read_is_tried_once() -> None:
    (rule,) = built()["Job"]["spec"]["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [2])


def test_proxies_and_a_private_ca_reach_it() -> None:
    spec = built(environment={"HTTPS_PROXY": "http://p:1"}, ca_config_map="ca")["Job"]["spec"]["template"][
        "spec"
    ]
    variables = {one["name"]: one["value"] for one in spec["containers"][0]["env"]}
    assert variables["HTTPS_PROXY"] == "http://p:1"
    assert variables["SSL_CERT_FILE"] == "/etc/pointsman/ca/ca.crt"
    assert {"name": "ca", "configMap": {"name": "ca"}} in spec["volumes"]


FAILED = FailedCase("refund", 2, 3, "something that contains “30 days”", "“You can't.”")
SAYS: dict[str, tuple[Result, bool, str]] = {
    "all right": (Result(SuiteResult(3, 0, ())), True, ""),
    "a case": (
        Result(SuiteResult(3, 0, (FAILED,))),
        False,
        "1 of 3 cases fail: case 'refund' (2 of 3 times): expected something that contains “30 days”, "
        "got “You can't.”",
    ),
    "three cases": (
        Result(
            SuiteResult(
                9,
                0,
                (FailedCase("a", 1, 1, "“x”", "“y”"), replace(FAILED, name="b"), replace(FAILED, name="c")),
            )
        ),
        False,
        "3 of 9 cases fail: case 'a': expected “x”, got “y”; so do 'b', 'c'",
    ),
    "a case that may": (Result(SuiteResult(3, 1, (FAILED,))), True, ""),
    "too little agreement": (
        Result(equivalence=EquivalenceResult(20, 18, 95, Divergence(3, 17, 4, "“Paris”", "“Pau”"))),
        False,
        "18 of 20 answers agree with the stable one's, 95 % must; prompt 3 parts after 17 characters "
        "(4 tokens): stable “Paris”, candidate “Pau”",
    ),
    "enough agreement": (
        Result(equivalence=EquivalenceResult(20, 19, 95, Divergence(3, 17, None, "“Paris”", "“Pau”"))),
        True,
        "",
    ),
    "several things": (
        Result(
            SuiteResult(1, 0, (FAILED,)),
            EquivalenceResult(20, 18, 95, Divergence(3, 17, 4, "“Paris”", "“Pau”")),
        ),
        False,
        "1 of 1 cases fail: case 'refund' (2 of 3 times): expected something that contains “30 days”, "
        "got “You can't.”; 18 of 20 answers agree with the stable one's, 95 % must; prompt 3 parts after 17 "
        "characters (4 tokens): stable “Paris”, candidate “Pau”",
    ),
}


@pytest.mark.parametrize(("result", "passed", "message"), SAYS.values(), ids=SAYS)
def test_the_operator_reads_what_the_trial_writes(result: Result, passed: bool, message: str) -> None:
    found = read(json.loads(json.dumps(result.document())))
    assert isinstance(found, Verdict)
    assert found.passed is passed
    if not passed:
        assert found.message == message


def test_cases_beyond_the_room_are_counted() -> None:
    many = tuple(replace(FAILED, name=f"case-{n}", got="“" + "x" * 300 + "”") for n in range(60))
    found = read(Result(SuiteResult(60, 0, many)).document())
    assert isinstance(found, Verdict)
    assert found.failed == 60
    assert 5 < len(found.failing) < 20
    assert len(found.message) <= 600
    short = replace(found, failing=found.failing[:2])
    assert short.message.endswith("so does 'case-1' and 58 more")


def test_agreement_is_never_rounded_up() -> None:
    assert Verdict(True, prompts=200, agreed=199).agreement_percent == 99


UNREADABLE: dict[str, Any] = {
    "nothing": None,
    "an empty object": {},
    "another object": {"x": 1},
    "a suite that is none": {"passed": False, "suite": 3},
    "cases without names": {"passed": False, "suite": {"failing": [{}]}},
}


@pytest.mark.parametrize("document", UNREADABLE.values(), ids=UNREADABLE)
def test_what_can_not_be_read_is_no_verdict(document: Any) -> None:
    assert read(document) == Unjudged("ResultUnreadable", "the trial left no result that can be read")


def test_no_verdict_says_why() -> None:
    assert read({"reason": "Unanswered", "message": "nobody"}) == Unjudged("Unanswered", "nobody")


def ran(code: int, message: str, created: str) -> dict[str, Any]:
    found = pod(container("trial", state={"terminated": {"exitCode": code, "message": message}}))
    found["metadata"]["creationTimestamp"] = created
    return found


TOLD: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "nothing while it runs": ([pod(container("trial", state={"running": {}}))], None),
    "what it found": ([ran(0, '{"passed": true}', "1")], {"passed": True}),
    "why it found nothing": ([ran(1, '{"reason": "Unanswered"}', "1")], {"reason": "Unanswered"}),
    "what a later try found": (
        [ran(0, '{"passed": true}', "2"), ran(1, '{"reason": "Unanswered"}', "1")],
        {"passed": True},
    ),
    "why the last try found nothing": (
        [ran(1, '{"reason": "B"}', "2"), ran(1, '{"reason": "A"}', "1")],
        {"reason": "B"},
    ),
    "an end without a word": ([ran(137, "", "1")], {}),
}


@pytest.mark.parametrize(("pods", "found"), TOLD.values(), ids=TOLD)
def test_pods_tell(pods: list[dict[str, Any]], found: Any) -> None:
    assert diagnosis.tried(pods) == found
