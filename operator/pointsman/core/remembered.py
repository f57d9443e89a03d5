"""A rollout's state where it is kept: in status, and as far as it can be in what children are marked with.

Status is lost with a restored backup or by a hand. What serves, what was to take its place and what must not
be tried again are marked on Deployments and ControllerRevisions too; how far a canary was isn't: it begins
with its first step again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pointsman.api import names
from pointsman.api import service_status as api
from pointsman.api.conditions import Reason
from pointsman.api.service_status import RolloutStatus, Step
from pointsman.core.conditions import MESSAGE_LIMIT, timestamp
from pointsman.core.inventory import is_leaving
from pointsman.core.rollout import Rejection, State, recover
from pointsman.core.variant import Share, Variant
from pointsman.core.world import Manifest

TRACKS = (names.TRACK_STABLE, names.TRACK_CANDIDATE)


def state(
    status: RolloutStatus | None,
    deployments: Iterable[Manifest],
    revisions: Iterable[Manifest],
    window: str = "",
) -> State:
    """The rollout as the last pass left it. `window`: of an experiment that goes on beside it."""
    if status is None or status.step is None:
        return recover(_tracks(deployments), _marked(revisions))
    return State(
        stable=_variant(status.stable),
        candidate=_variant(status.candidate),
        previous=_variant(status.previous),
        step=Step(status.step),
        index=status.step_index,
        since=_moment(status.step_started_at) if status.step_started_at else None,
        traffic=tuple(
            Share(Variant.parse(share.revision), share.weight, share.shadow or 0) for share in status.traffic
        ),
        window=window,
        rejections=tuple(
            Rejection(Variant.parse(one.variant), _reason(one.reason), one.message, _moment(one.at))
            for one in status.rejections
        ),
    )


def document(state: State) -> dict[str, Any]:
    """The state as status has it."""
    return {
        "stable": state.stable.name if state.stable else None,
        "candidate": state.candidate.name if state.candidate else None,
        "previous": state.previous.name if state.previous else None,
        "step": state.step.value,
        "stepIndex": state.index if state.candidate else None,
        "stepStartedAt": timestamp(state.since) if state.since else None,
        "traffic": [_share(share) for share in state.traffic],
        "candidateWeight": state.weight if state.candidate else None,
        "failed": [one.variant.name for one in state.rejections],
        "rejections": [_rejection(one) for one in state.rejections],
    }


def _share(share: Share) -> dict[str, Any]:
    found = {"revision": share.variant.name, "weight": share.weight}
    return {**found, "shadow": share.shadow} if share.shadow else found


def _rejection(one: Rejection) -> dict[str, str]:
    return {
        "variant": one.variant.name,
        "reason": one.reason.value,
        "message": one.message[:MESSAGE_LIMIT],
        "at": timestamp(one.at),
    }


# What children are marked with.


def variants_of(state: State, revision: str) -> dict[str, str]:
    """The annotation that tells what a revision's Deployment is for, where its name alone doesn't."""
    found = {
        track: one.name
        for track, one in zip(TRACKS, (state.stable, state.candidate), strict=True)
        if one is not None and one.revision == revision
    }
    if all(name == revision for name in found.values()):
        return {}
    return {names.ANNOTATION_VARIANTS: json.dumps(found, sort_keys=True)}


def rejections_of(state: State, revision: str) -> dict[str, str]:
    """The annotation by which a revision's ControllerRevision keeps what of it was rejected."""
    found = [_rejection(one) for one in state.rejections if one.variant.revision == revision]
    return {names.ANNOTATION_REJECTIONS: json.dumps(found, sort_keys=True)} if found else {}


def _tracks(deployments: Iterable[Manifest]) -> dict[Variant, str]:
    found: dict[Variant, str] = {}
    for deployment in deployments:
        if is_leaving(deployment):
            continue
        meta = deployment["metadata"]
        track = str((meta.get("labels") or {}).get(names.LABEL_TRACK, ""))
        told = _json(meta, names.ANNOTATION_VARIANTS)
        named = {t: str(told[t]) for t in TRACKS if isinstance(told, Mapping) and told.get(t)}
        for on, name in (named or {track: meta["name"]}).items():
            found.setdefault(Variant.parse(name), on)
    return found


def _marked(revisions: Iterable[Manifest]) -> tuple[Rejection, ...]:
    found = []
    for child in revisions:
        told = _json(child["metadata"], names.ANNOTATION_REJECTIONS)
        for one in told if isinstance(told, Sequence) and not isinstance(told, str) else ():
            if isinstance(one, Mapping) and one.get("variant"):
                variant = Variant.parse(str(one["variant"]))
                message, at = str(one.get("message", "")), _moment(str(one.get("at", "")))
                found.append(Rejection(variant, _reason(str(one.get("reason", ""))), message, at))
    found.sort(key=lambda one: (one.at, one.variant.name), reverse=True)
    return tuple(found[: api.REJECTIONS_KEPT])


def _json(metadata: Manifest, annotation: str) -> object:
    try:
        return json.loads((metadata.get("annotations") or {}).get(annotation, "null"))
    except ValueError:
        return None


def _variant(name: str | None) -> Variant | None:
    return Variant.parse(name) if name else None


def _reason(text: str) -> Reason:
    return Reason(text) if text in REJECTING else Reason.CANARY_REJECTED


REJECTING = frozenset({Reason.CANARY_REJECTED, Reason.ROLLOUT_ABORTED})
"""Why a variant isn't taken."""


def _moment(text: str) -> datetime:
    """A time as somebody wrote it; what is none counts as long ago."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime(1970, 1, 1, tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
