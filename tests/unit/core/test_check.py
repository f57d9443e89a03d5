"""Checks: what each is told, what its Job is like, and what is made of an answer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pointsman.api import names, sealing
from pointsman.api.checks import Check
from pointsman.api.service_status import GateStatus, Step
from pointsman.core import check, check_children, diagnosis
from pointsman.core.check import Answer, Asking, Surroundings
from pointsman.core.rollout import Phase
from pointsman.core.trial import UNREADABLE, Unjudged
from pointsman.core.variant import Variant
from pointsman_trial import document as theirs
from pointsman_trial.result import GateResult, Result
from tests.pss import violations
from tests.unit.core.build import SETTINGS, service
from tests.unit.core.pods import container, pod

NOW = datetime(2026, 1, 1, 12, 5, 0, tzinfo=UTC)
WEBHOOK = {"name": "budget", "webhook": {"url": "https://ci.example.com/gate/s3cret", "accept": "Status"}}
JOB: dict[str, Any] = {"name": "eval", "job": {"image": "eval:1", "env": {"DATASET": "small"}}}
AROUND = Surroundings(
    service="chat",
    namespace="team-a",
    model="chat",
    strategy="Canary",
    url="http://default-router.team-a.svc/v1",
    ask_url="http://default-router-admin:8081/ask/chat",
    requests={"stable": 900, "candidate": 100},
    gates=(GateStatus.model_validate({"metric": "errorRate", "verdict": "Pass", "estimate": "0.001"}),),
)


def asking(declared: dict[str, Any] | None = None, **given: Any) -> Asking:
    found = Asking(
        Check.model_validate(declared or WEBHOOK),
        candidate=Variant("chat-1a2b3c4d", "support-v8", "0f0f0f0f"),
        stable=Variant("chat-9f9f9f9f"),
        step=Step.CANARY,
        index=1,
        phase=Phase(20),
        since=NOW,
    )
    return replace(found, **given)


def changed(declared: dict[str, Any], **given: Any) -> dict[str, Any]:
    kind = "webhook" if "webhook" in declared else "job"
    return {**declared, kind: {**declared[kind], **given}}


TOLD = {
    "name": "chat",
    "namespace": "team-a",
    "phase": "Progressing",
    "metadata": {"check": "budget"},
    "format": 1,
    "model": "chat",
    "url": "http://default-router.team-a.svc/v1",
    "askUrl": "http://default-router-admin:8081/ask/chat",
    "rollout": {
        "strategy": "Canary",
        "stable": {"variant": "chat-9f9f9f9f", "revision": "chat-9f9f9f9f"},
        "candidate": {
            "variant": "chat-1a2b3c4d.support-v8.0f0f0f0f",
            "revision": "chat-1a2b3c4d",
            "prompt": {"name": "support-v8", "digest": "0f0f0f0f"},
        },
        "step": "Canary",
        "stepIndex": 1,
        "weight": 20,
        "shadow": 0,
        "requests": {"stable": 900, "candidate": 100},
        "gates": [
            {
                "metric": "errorRate",
                "verdict": "Pass",
                "estimate": "0.001",
                "stableSamples": 0,
                "candidateSamples": 0,
                "message": "",
            }
        ],
    },
}


def test_what_it_is_told_is_a_contract() -> None:
    assert check.context(asking(), AROUND) == TOLD


def test_the_command_reads_what_the_operator_writes() -> None:
    asked = asking(changed(WEBHOOK, timeoutSeconds=7, tokenSecretRef={"name": "ci"}))
    found = theirs.parse(check.document(asked, TOLD))
    assert found.gate is not None
    assert (found.gate.name, found.gate.accept, found.gate.step) == ("budget", theirs.Accept.STATUS, TOLD)
    assert found.gate.service.url == "https://ci.example.com/gate/s3cret"
    assert found.gate.service.token_file == "/etc/pointsman/token/token"
    assert (found.patience.request_seconds, found.patience.tries) == (7, 3)
    assert found.patience.deadline_seconds < asked.seconds
    plain = theirs.parse(check.document(asking({"name": "a", "webhook": {"url": "http://a"}}), TOLD)).gate
    assert plain is not None
    assert (plain.accept, plain.service.token_file) == (theirs.Accept.VERDICT, "")


OTHERS: dict[str, tuple[Asking, bool]] = {
    "the same again": (asking(), True),
    "of a recorded world": (asking(sealing.seal(WEBHOOK)), True),
    "at another address": (asking(changed(WEBHOOK, url="https://ci.example.com/gate/other")), False),
    "another candidate": (asking(candidate=Variant("chat-1a2b3c4d", "support-v8", "1f1f1f1f")), False),
    "another stable one": (asking(stable=Variant("chat-00000000")), False),
    "another step": (asking(index=2), False),
    "the bake": (asking(step=Step.BAKING), False),
    "another weight": (asking(phase=Phase(25)), False),
    "more copies": (asking(phase=Phase(20, shadow=5)), False),
    "the step once more": (asking(since=NOW + timedelta(seconds=1)), False),
    "other conditions for going on": (asking(phase=Phase(20, seconds=5, samples=9, manual=True)), True),
}


@pytest.mark.parametrize(("other", "same"), OTHERS.values(), ids=OTHERS)
def test_an_answer_counts_for_its_own_question_alone(other: Asking, same: bool) -> None:
    assert (other.name == asking().name) is same


def test_the_longest_name_is_a_jobs() -> None:
    longest = Variant(names.revision_name("x" * names.NAME_LIMIT, "0" * 8))
    assert len(asking(candidate=longest).name) == 63


def test_a_recorded_world_has_no_address_of_a_webhook() -> None:
    spec = {"rollout": {"checks": [WEBHOOK]}}
    assert "s3cret" not in json.dumps(sealing.seal(spec))
    assert "ci.example.com" not in json.dumps(sealing.seal(spec))
    written = sealing.seal({"trial.json": check.document(asking(), TOLD)})["trial.json"]
    assert "s3cret" not in written
    again = check.document(asking(sealing.seal(WEBHOOK)), TOLD)
    assert sealing.seal({"trial.json": again})["trial.json"] == written == again


def built(declared: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The Job, its container and the ConfigMap."""
    config_map, job = check_children.build(service().metadata, asking(declared), AROUND, SETTINGS)
    assert config_map["metadata"]["name"] == job["metadata"]["name"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return job, container, config_map


SECRET = {"tokenSecretRef": {"name": "ci", "key": "bearer"}}
PODS = {
    "a webhook": WEBHOOK,
    "a webhook with a token": changed(WEBHOOK, **SECRET),
    "a Job": JOB,
    "a Job with everything": changed(
        JOB,
        **SECRET,
        command=["run"],
        args=["--all"],
        serviceAccountName="evaluator",
        resources={"limits": {"memory": "4Gi"}},
        timeoutSeconds=3600,
    ),
}


@pytest.mark.parametrize("declared", PODS.values(), ids=PODS)
def test_its_pod_is_restricted(declared: dict[str, Any]) -> None:
    job, _, config_map = built(declared)
    assert violations(job["spec"]["template"]["spec"]) == []
    assert job["spec"]["backoffLimit"] == 0
    assert all(one["metadata"]["ownerReferences"][0]["controller"] for one in (job, config_map))


def test_a_webhook_is_asked_by_the_operators_image() -> None:
    job, container, config_map = built(WEBHOOK)
    assert (container["image"], container["command"][0]) == (SETTINGS.resolve_image, "pointsman-trial")
    assert theirs.parse(config_map["data"]["trial.json"]).gate is not None
    assert job["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


def test_a_token_is_mounted_by_name_and_never_shown() -> None:
    job, container, _ = built(PODS["a webhook with a token"])
    (volume,) = [one for one in job["spec"]["template"]["spec"]["volumes"] if one["name"] == "token"]
    items = [{"key": "bearer", "path": "token"}]
    assert volume["secret"] == {"secretName": "ci", "items": items, "defaultMode": 0o440}
    assert {"name": "token", "mountPath": "/etc/pointsman/token", "readOnly": True} in container[
        "volumeMounts"
    ]


def test_a_job_runs_what_is_declared_and_knows_where_it_is() -> None:
    job, container, config_map = built(JOB)
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert variables == {
        "HOME": "/tmp",
        "DATASET": "small",
        "POINTSMAN_CHECK_FILE": "/etc/pointsman/check/check.json",
        "POINTSMAN_SERVICE": "chat",
        "POINTSMAN_NAMESPACE": "team-a",
        "POINTSMAN_MODEL": "chat",
        "POINTSMAN_URL": "http://default-router.team-a.svc/v1",
        "POINTSMAN_ASK_URL": "http://default-router-admin:8081/ask/chat",
        "POINTSMAN_CANDIDATE": "chat-1a2b3c4d.support-v8.0f0f0f0f",
        "POINTSMAN_STABLE": "chat-9f9f9f9f",
    }
    assert json.loads(config_map["data"]["check.json"])["rollout"] == TOLD["rollout"]
    assert (container["image"], "command" in container, "args" in container) == ("eval:1", False, False)
    assert job["spec"]["activeDeadlineSeconds"] == 600
    pod_spec = job["spec"]["template"]["spec"]
    assert (pod_spec["automountServiceAccountToken"], "serviceAccountName" in pod_spec) == (False, False)


def test_a_job_has_the_identity_and_the_bounds_that_are_declared() -> None:
    job, container, _ = built(PODS["a Job with everything"])
    pod_spec = job["spec"]["template"]["spec"]
    assert (pod_spec["serviceAccountName"], pod_spec["automountServiceAccountToken"]) == ("evaluator", True)
    assert (container["command"], container["args"]) == (["run"], ["--all"])
    assert container["resources"] == {"limits": {"memory": "4Gi"}}
    assert job["spec"]["activeDeadlineSeconds"] == 3600
    assert {"name": "POINTSMAN_TOKEN_FILE", "value": "/etc/pointsman/token/token"} in container["env"]


SAYS: dict[str, tuple[Any, Any]] = {
    "yes": (Result(gate=GateResult("g", True, "fine")).document(), Answer(True, "fine")),
    "no": (Result(gate=GateResult("g", False, "too slow")).document(), Answer(False, "too slow")),
    "nothing": ({"reason": "Unanswered", "message": "nobody"}, Unjudged("Unanswered", "nobody")),
    "nothing that can be read": ({"x": 1}, UNREADABLE),
    "a yes to something else": ({"passed": True, "suite": {"cases": 3}}, UNREADABLE),
    "a word that is none": ({"passed": True, "gate": {"name": "g", "passed": "yes"}}, UNREADABLE),
    "no word": ({}, UNREADABLE),
    "none at all": (None, UNREADABLE),
}


@pytest.mark.parametrize(("message", "found"), SAYS.values(), ids=SAYS)
def test_the_operator_reads_what_the_command_writes(message: Any, found: Any) -> None:
    assert check.said(message) == found


EXITS = {
    "yes": (0, "", Answer(True, "")),
    "yes, and why": (0, "0.97 of 0.95\n", Answer(True, "0.97 of 0.95")),
    "no": (3, "", Answer(False, "it exited with 3")),
    "no, and why": (1, "0.91\n of  0.95", Answer(False, "0.91 of 0.95")),
    "no, at length": (1, "x" * 4096, Answer(False, "x" * 299 + "…")),
}


@pytest.mark.parametrize(("code", "message", "found"), EXITS.values(), ids=EXITS)
def test_an_exit_status_is_a_word(code: int, message: str, found: Answer) -> None:
    assert check.exited(code, message) == found


def ran(name: str = "check", **status: Any) -> dict[str, Any]:
    ended = {"exitCode": 1, "reason": "Error", "message": "bad"}
    found = pod(container(name, state={"terminated": {**ended, **status.pop("terminated", {})}}))
    found["status"] = {**found["status"], **status}
    return found


ENDS: dict[str, tuple[dict[str, Any], Any]] = {
    "by itself": (ran(), (1, "bad")),
    "well": (ran(terminated={"exitCode": 0, "reason": "Completed", "message": ""}), (0, "")),
    "not yet": (pod(container("check", state={"running": {}})), None),
    "as something else": (ran("other"), None),
    "out of memory": (ran(terminated={"exitCode": 137, "reason": "OOMKilled"}), None),
    "without having begun": (ran(terminated={"exitCode": 128, "reason": "StartError"}), None),
    "unseen": (ran(terminated={"exitCode": 137, "reason": "ContainerStatusUnknown"}), None),
    "evicted": (ran(reason="Evicted"), None),
    "drained": (ran(conditions=[{"type": "DisruptionTarget", "status": "True"}]), None),
}


@pytest.mark.parametrize(("ended", "found"), ENDS.values(), ids=ENDS)
def test_only_an_end_by_itself_is_one(ended: dict[str, Any], found: Any) -> None:
    assert diagnosis.exit_of(ended) == found


def test_a_job_whose_time_was_over_is_told_from_one_that_failed() -> None:
    over = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}
    job = {"metadata": {"name": "j"}, "status": {"conditions": [over]}}
    assert (diagnosis.job_late(job), diagnosis.job_failure(job)) == (True, "too long")
    assert (diagnosis.job_late({"status": {}}), diagnosis.job_failure({"status": {}})) == (False, "")
