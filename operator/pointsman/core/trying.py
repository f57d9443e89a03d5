"""The trial of a service's candidate: what it is to be tried by, and how that stands after this pass.

The verdict is kept in status under the trial's name, so it outlives the Job, and one to other questions never
counts. What can't be judged is no verdict: it's tried again, and the candidate waits without traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pointsman.api import names
from pointsman.api.prompt import PromptSpec, PromptVersion
from pointsman.api.prompt_suite import PromptSuite
from pointsman.api.service_status import Found, Step, TrialStatus
from pointsman.core import diagnosis, jobs, questions, rollout
from pointsman.core.facts import Facts
from pointsman.core.trial import Trial, Unjudged, Verdict, read
from pointsman.core.world import Manifest, Missing

UNDER_WAY = "the candidate is tried before it gets any traffic"


@dataclass(frozen=True, slots=True)
class Tried:
    """How a trial stands."""

    stage: rollout.Trial = rollout.Trial.NONE
    why: str = ""
    """Why it failed."""
    stuck: str = ""
    """What keeps it from a verdict."""
    trial: Trial | None = None
    record: Mapping[str, Any] | None = None
    """What status is to say of it: a new verdict, or the one that is known."""

    @property
    def message(self) -> str:
        """In words, while it isn't over."""
        return f"the trial comes to no verdict: {self.stuck}" if self.stuck else UNDER_WAY


def look(facts: Facts) -> Tried:
    """How the candidate's trial stands now."""
    known, trial = _known(facts), _asked(facts)
    record = _written(known) if known else None
    if trial is None:
        return Tried(record=record)
    if known is not None and known.name == trial.name:
        passed = known.verdict is Found.PASS
        stage = rollout.Trial.PASSED if passed else rollout.Trial.FAILED
        return Tried(stage, known.message, trial=trial, record=record)
    hindrance = _hindrance(facts, trial)
    if hindrance:
        return Tried(rollout.Trial.RUNNING, stuck=hindrance, record=record)
    found = _told(facts, trial)
    if isinstance(found, Verdict):
        stage = rollout.Trial.PASSED if found.passed else rollout.Trial.FAILED
        return Tried(stage, found.message, trial=trial, record=_judged(trial, found))
    stuck = f"{found.reason}: {found.message}" if found else ""
    return Tried(rollout.Trial.RUNNING, stuck=stuck, trial=trial, record=record)


def kept(facts: Facts) -> Tried:
    """What is known, with nothing added: for a service that is paused."""
    known = _known(facts)
    return Tried(record=_written(known) if known else None)


def job_wanted(facts: Facts, after: rollout.State, tried: Tried) -> bool:
    """Whether the Job should exist: from when the candidate's engines are there and routers know it, until
    its verdict is written down; but for a while after a try without a verdict."""
    if tried.trial is None or tried.stage is not rollout.Trial.RUNNING:
        return False
    if after.step is not Step.TRIAL or after != facts.state:
        return False
    job = _job(facts, tried.trial)
    if job is None:
        return facts.acknowledged()
    return jobs.stands(job, facts.world.now)


def _asked(facts: Facts) -> Trial | None:
    """What the candidate is to be tried by; None for nothing."""
    state, declared = facts.state, facts.world.service.spec.rollout
    if state.candidate is None or declared is None:
        return None
    # Of the same engines only the prompt differs, which is meant to change answers.
    alike = None if state.stable is None or state.shares_engines else declared.equivalence
    if alike is None and declared.suite_ref is None:
        return None
    found, name = facts.world.suite, facts.world.service.metadata.name
    peers = facts.world.peers
    return Trial(
        service=name,
        router=facts.router,
        candidate=state.candidate.name,
        stable=state.stable.name if state.stable else "",
        model=next(iter(facts.granted), name),
        suite=questions.suite(found, _prompt(facts), peers) if isinstance(found, PromptSuite) else None,
        equivalence=questions.equivalence(alike, _prompt(facts)) if alike else None,
    )


def _prompt(facts: Facts) -> PromptSpec | None:
    """The prompt that the candidate answers by, from the service's own copy."""
    copy = facts.copies.get(facts.state.candidate.digest) if facts.state.candidate else None
    return copy.spec if copy else None


def _hindrance(facts: Facts, trial: Trial) -> str:
    """What keeps it from being asked at all; empty for nothing."""
    suite = facts.world.suite
    if isinstance(suite, Missing):
        return f"there is no PromptSuite {suite.name!r}"
    lacking = questions.missing_embedding(suite, facts.world.peers) if suite else ""
    if lacking:
        return (
            f"PromptSuite {trial.suite and trial.suite.name!r} asks LLMService {lacking!r}, which isn't there"
        )
    strange = mismatch(facts)
    if strange:
        return strange
    return "" if trial.fits else "what it asks is larger than a ConfigMap holds"


def mismatch(facts: Facts) -> str:
    """Why the suite isn't for the prompt that the spec asks for; empty where it is, or there is no prompt."""
    suite, (name, prompt) = facts.world.suite, _declared(facts)
    if not isinstance(suite, PromptSuite) or prompt is None:
        return ""
    family = suite.spec.family
    if family in (None, prompt.family):
        return ""
    told = f"PromptSuite {suite.metadata.name!r} tests prompts of family {family!r}"
    return f"{told}, and PromptVersion {name!r} is of {repr(prompt.family) if prompt.family else 'none'}"


def _declared(facts: Facts) -> tuple[str, PromptSpec | None]:
    """The prompt that the spec asks for, and its name: of the copy where it is gone. A copy isn't made anew
    where a prompt is, to be of another family."""
    if isinstance(facts.world.prompt, PromptVersion):
        return facts.world.prompt.metadata.name, facts.world.prompt.spec
    copy = facts.copies.get(facts.wanted.digest) if facts.wanted else None
    return (copy.name, copy.spec) if copy else ("", None)


def _known(facts: Facts) -> TrialStatus | None:
    status = facts.world.service.status.rollout
    return status.trial if status else None


def _job(facts: Facts, trial: Trial) -> Manifest | None:
    return jobs.named(facts.world.owned_of("Job"), trial.name)


def _told(facts: Facts, trial: Trial) -> Verdict | Unjudged | None:
    """What its pods say: a verdict, or why there is none once the Job is over; None while it goes on."""
    pods = jobs.pods_of(facts.pods_of(names.ROLE_TRIAL, trial.revision), trial.name)
    told = diagnosis.tried(pods)
    found = read(told) if told is not None else None
    if isinstance(found, Verdict):
        return found
    job = _job(facts, trial)
    if job is None or jobs.ended(job) is None:
        return None
    return found or Unjudged("NoPod", "its Job is over, and no pod of it has told anything")


def _judged(trial: Trial, found: Verdict) -> dict[str, Any]:
    """A new verdict as status has it."""
    written: dict[str, Any] = {
        "variant": trial.candidate,
        "name": trial.name,
        "verdict": (Found.PASS if found.passed else Found.FAIL).value,
    }
    written |= {"message": found.message} if not found.passed else {}
    written |= {"cases": found.cases, "failed": found.failed} if trial.suite else {}
    written |= {"prompts": found.prompts, "agreed": found.agreed} if trial.equivalence else {}
    return written | ({"divergence": found.divergence} if found.divergence else {})


def _written(known: TrialStatus) -> dict[str, Any]:
    return known.model_dump(mode="json", by_alias=True, exclude_defaults=True)
