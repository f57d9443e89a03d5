"""One question to one of a rollout's checks, and its answer: values, and nothing of clusters.

What a check is told is `context`, a contract with other people's services (docs/trial.md): its format only
grows. A check's Job is named by what it's asked about, so an answer is never taken for one about another step
or candidate, nor about the same step entered again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pointsman.api import names, sealing
from pointsman.api.checks import Accept, CheckJob, Webhook
from pointsman.api.checks import Check as Declared
from pointsman.api.service_status import GateStatus, Step
from pointsman.core import trial
from pointsman.core.conditions import timestamp
from pointsman.core.rollout import Phase
from pointsman.core.trial import Unjudged
from pointsman.core.variant import Variant

FORMAT = 1
"""Of what a check is told."""
WEBHOOK_SECONDS = 30
JOB_SECONDS = 600
TRIES = 3
"""How often a webhook is asked before that counts as no verdict."""
START_SECONDS = 300
"""What a pod may take to come up, beside what a webhook may take to answer."""
TOKEN_FOLDER = "/etc/pointsman/token"
TOKEN_FILE = f"{TOKEN_FOLDER}/token"
MESSAGE_CHARS = 300
"""How much of an answer is shown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A check's yes or no."""

    passed: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """One check, asked about one candidate in one step."""

    declared: Declared
    candidate: Variant
    stable: Variant
    step: Step
    index: int
    phase: Phase
    since: datetime | None = None
    """When the step began: one that is entered again is another question."""

    @property
    def check(self) -> str:
        """The check's name."""
        return self.declared.name

    @property
    def name(self) -> str:
        """Name of its Job and of the ConfigMap with what it's told."""
        return names.check_name(
            self.candidate.revision, hashlib.sha256(self._identity().encode()).hexdigest()
        )

    def _identity(self) -> str:
        """By the sealed check: a recorded World asks for the same one."""
        found = {
            "format": FORMAT,
            "check": sealing.seal(self.declared.to_wire()),
            "candidate": self.candidate.name,
            "stable": self.stable.name,
            "step": [self.step.value, self.index, self.phase.weight, self.phase.shadow],
            "since": timestamp(self.since) if self.since else "",
        }
        return json.dumps(found, sort_keys=True, separators=(",", ":"))

    @property
    def seconds(self) -> int:
        """How long its Job may take."""
        if self.declared.job is not None:
            return self.declared.job.timeout_seconds or JOB_SECONDS
        return _patience(self.declared.webhook) + START_SECONDS


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a check is told beside the question itself."""

    service: str
    namespace: str
    model: str
    """What requests call the model."""
    strategy: str
    url: str
    """The service's way in; an OpenAI client's base_url."""
    ask_url: str
    """Where one variant alone is asked, by `?variant=`: nobody's traffic."""
    requests: Mapping[str, int]
    """How many requests each of both has answered in the step."""
    gates: Sequence[GateStatus] = ()
    """What the gates have found."""


def context(asking: Asking, around: Surroundings) -> dict[str, Any]:
    """What a check is told. The first four fields are those of Flagger's webhooks."""
    gates = [gate.model_dump(mode="json", by_alias=True, exclude_none=True) for gate in around.gates]
    rollout: dict[str, Any] = {
        "strategy": around.strategy,
        "stable": _variant(asking.stable),
        "candidate": _variant(asking.candidate),
        "step": asking.step.value,
        "stepIndex": asking.index,
        "weight": asking.phase.weight,
        "shadow": asking.phase.shadow,
        "requests": dict(around.requests),
        "gates": gates,
    }
    return {
        "name": around.service,
        "namespace": around.namespace,
        "phase": "Progressing",
        "metadata": {"check": asking.check},
        "format": FORMAT,
        "model": around.model,
        "url": around.url,
        "askUrl": around.ask_url,
        "rollout": rollout,
    }


def document(asking: Asking, told: Mapping[str, Any]) -> str:
    """What `pointsman-trial` reads to ask a webhook."""
    webhook = asking.declared.webhook
    assert webhook is not None
    service = {"url": webhook.url} | ({"tokenFile": TOKEN_FILE} if webhook.token_secret_ref else {})
    seconds = webhook.timeout_seconds or WEBHOOK_SECONDS
    found = {
        "format": trial.FORMAT,
        "patience": {"deadlineSeconds": _patience(webhook), "requestSeconds": seconds, "tries": TRIES},
        "gate": {
            "name": asking.check,
            "service": service,
            "step": told,
            "accept": (webhook.accept or Accept.VERDICT).value,
        },
    }
    return text(found)


def text(told: Mapping[str, Any]) -> str:
    """JSON, written the one way in which it's sealed too."""
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def environment(job: CheckJob, told: Mapping[str, Any], file: str) -> dict[str, str]:
    """What a Job is told by variables; all of it is in the file."""
    rollout = told["rollout"]
    found = {
        "HOME": "/tmp",
        **(job.env or {}),
        "POINTSMAN_CHECK_FILE": file,
        "POINTSMAN_SERVICE": told["name"],
        "POINTSMAN_NAMESPACE": told["namespace"],
        "POINTSMAN_MODEL": told["model"],
        "POINTSMAN_URL": told["url"],
        "POINTSMAN_ASK_URL": told["askUrl"],
        "POINTSMAN_CANDIDATE": rollout["candidate"]["variant"],
        "POINTSMAN_STABLE": rollout["stable"]["variant"],
    }
    return found | ({"POINTSMAN_TOKEN_FILE": TOKEN_FILE} if job.token_secret_ref else {})


def said(message: Mapping[str, Any] | None) -> Answer | Unjudged:
    """What `pointsman-trial` left of a webhook's answer. Total: whatever else it is, it is no verdict."""
    gate = (message or {}).get("gate")
    if isinstance(gate, Mapping) and isinstance(gate.get("passed"), bool):
        return Answer(gate["passed"], shorten(str(gate.get("message", ""))))
    found = trial.read(message)
    return found if isinstance(found, Unjudged) else trial.UNREADABLE


def exited(code: int, message: str) -> Answer:
    """What a Job's own container says by its exit status."""
    words = shorten(message)
    return Answer(True, words) if code == 0 else Answer(False, words or f"it exited with {code}")


def shorten(words: str) -> str:
    """One line, no longer than is shown."""
    line = " ".join(words.split())
    return line if len(line) <= MESSAGE_CHARS else line[: MESSAGE_CHARS - 1] + "…"


def _variant(variant: Variant) -> dict[str, Any]:
    found: dict[str, Any] = {"variant": variant.name, "revision": variant.revision}
    prompt = {"name": variant.prompt, "digest": variant.digest}
    return found | ({"prompt": prompt} if variant.prompt else {})


def _patience(webhook: Webhook | None) -> int:
    """Seconds in which all tries of a webhook have their time, with the pauses between them."""
    return TRIES * ((webhook and webhook.timeout_seconds) or WEBHOOK_SECONDS) + 10
