"""The checks of the step that a rollout is in: which are open, and what is known of each.

A verdict is kept in status under the name of the Job that gave it, so it outlives the Job and the operator's
process. What came to no verdict is kept too, with since when: that is what patience is counted from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pointsman.api import names
from pointsman.api.service_status import CheckStatus, Found
from pointsman.core import check, diagnosis, jobs
from pointsman.core.check import Answer, Asking
from pointsman.core.conditions import timestamp
from pointsman.core.facts import Facts
from pointsman.core.rollout import Checks
from pointsman.core.trial import Unjudged
from pointsman.core.world import Manifest

SILENT = Checks()
"""Where nobody is asked."""


@dataclass(frozen=True, slots=True)
class Checked:
    """How the checks of the present step stand."""

    open: tuple[Asking, ...] = ()
    """Those without a yes or a no."""
    standing: Checks = SILENT
    records: tuple[CheckStatus, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """What `status.rollout` is to say of them."""
        said = [one.model_dump(mode="json", by_alias=True, exclude_defaults=True) for one in self.records]
        return {"checks": said} if said else {}


def look(facts: Facts) -> Checked:
    """How they stand now. What was said in another step, or of another candidate, stays in status until the
    check speaks again, and counts for nothing."""
    known = {one.name: one for one in kept(facts).records}
    asked = _asked(facts)
    found = {one.check: _found(facts, one, known.get(one.check)) for one in asked}
    declared = (facts.world.service.spec.rollout and facts.world.service.spec.rollout.checks) or ()
    records = (found.get(one.name) or known.get(one.name) for one in declared)
    return Checked(
        open=tuple(one for one in asked if not _is_over(found[one.check])),
        standing=_standing(found),
        records=tuple(record for record in records if record is not None),
    )


def kept(facts: Facts) -> Checked:
    """What is known, with nothing added: for a service that is paused."""
    status = facts.world.service.status.rollout
    return Checked(records=status.checks if status else ())


def job_wanted(facts: Facts, asking: Asking, due: bool) -> bool:
    """Whether the Job of an open check should exist: from when all else has passed (`due`) until its answer
    is written down; but for a while after a try without a verdict."""
    job = jobs.named(facts.world.owned_of("Job"), asking.name)
    return due if job is None else jobs.stands(job, facts.world.now)


def _asked(facts: Facts) -> list[Asking]:
    state, phase = facts.state, facts.plan.measured(facts.state)
    declared = facts.world.service.spec.rollout
    if declared is None or phase is None or state.candidate is None or state.stable is None:
        return []
    return [
        Asking(one, state.candidate, state.stable, state.step, state.index, phase, state.since)
        for one in declared.checks or ()
    ]


def _is_over(record: CheckStatus | None) -> bool:
    return record is not None and record.verdict is not Found.INCONCLUSIVE


def _found(facts: Facts, asking: Asking, known: CheckStatus | None) -> CheckStatus | None:
    """What is to be remembered of a check; None where it has said nothing yet."""
    before = known if known is not None and known.job == asking.name else None
    if _is_over(before):
        return before
    match _told(facts, asking):
        case Answer(passed=passed, message=message):
            return _record(facts, asking, Found.PASS if passed else Found.FAIL, message, facts.world.now)
        case Unjudged(reason=reason, message=message):
            since = datetime.fromisoformat(before.at) if before else facts.world.now
            words = check.shorten(f"{reason}: {message}")
            return _record(facts, asking, Found.INCONCLUSIVE, words, since)
        case None:
            return before


def _record(facts: Facts, asking: Asking, verdict: Found, message: str, at: datetime) -> CheckStatus:
    return CheckStatus(
        name=asking.check,
        variant=asking.candidate.name,
        step=asking.step,
        step_index=asking.index,
        verdict=verdict,
        message=message,
        at=timestamp(at),
        job=asking.name,
    )


def _told(facts: Facts, asking: Asking) -> Answer | Unjudged | None:
    """What its pods say: an answer, or why there is none; None while that may still come."""
    job = jobs.named(facts.world.owned_of("Job"), asking.name)
    pods = jobs.pods_of(facts.pods_of(names.ROLE_TRIAL, asking.candidate.revision), asking.name)
    answer = _by_exit(pods, job) if asking.declared.job else _by_message(pods)
    if isinstance(answer, Answer) or job is None:
        return answer if isinstance(answer, Answer) else None
    if jobs.ended(job) is not None:
        words = diagnosis.job_failure(job)
        return answer or Unjudged("NoVerdict", words or "its Job is over, and no pod of it has told anything")
    # Of one that has ended its Job is about to tell.
    coming = [pod for pod in pods if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    hindrance = diagnosis.keeping(coming, [job], facts.world.pod_events, facts.world.now)
    return Unjudged(hindrance.reason.value, hindrance.message) if hindrance else None


def _by_message(pods: Sequence[Manifest]) -> Answer | Unjudged | None:
    told = diagnosis.tried(pods)
    return None if told is None else check.said(told)


def _by_exit(pods: Sequence[Manifest], job: Manifest | None) -> Answer | None:
    """A yes at once; a no only once its Job is over by itself: who is evicted exits with a status, too."""
    found = [check.exited(*end) for end in map(diagnosis.exit_of, pods) if end is not None]
    passed = next((one for one in found if one.passed), None)
    over = job is not None and diagnosis.job_failed(job) and not diagnosis.job_late(job)
    return passed or (found[-1] if found and over else None)


def _standing(found: Mapping[str, CheckStatus | None]) -> Checks:
    said = [record for record in found.values() if record is not None]
    failed = [record for record in said if record.verdict is Found.FAIL]
    stuck = [record for record in said if record.verdict is Found.INCONCLUSIVE]
    silent = [repr(name) for name, record in found.items() if record is None]
    return Checks(
        failed="; ".join(f"check {one.name!r} says no" + _why(one) for one in failed),
        stuck="; ".join(f"check {one.name!r} comes to no verdict" + _why(one) for one in stuck),
        since=min((datetime.fromisoformat(one.at) for one in stuck), default=None),
        running=", ".join(silent),
    )


def _why(record: CheckStatus) -> str:
    return f": {record.message}" if record.message else ""
