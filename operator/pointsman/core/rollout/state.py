"""What a rollout remembers between passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from pointsman.api.conditions import Reason
from pointsman.api.service_status import REJECTIONS_KEPT, Step
from pointsman.core import variant
from pointsman.core.variant import Division, Share, Variant


@dataclass(frozen=True, slots=True)
class Rejection:
    """A variant that wasn't taken, and why."""

    variant: Variant
    reason: Reason
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class State:
    """What a rollout remembers, kept in `status.rollout`."""

    stable: Variant | None = None
    candidate: Variant | None = None
    step: Step = Step.STEADY
    index: int = 0
    """Which of the plan's phases it is at, or gathers capacity for."""
    since: datetime | None = None
    """When the current step began; None before the first."""
    traffic: tuple[Share, ...] = ()
    """Every variant that routers should know, the weights summing to 100 or 0."""
    rejections: tuple[Rejection, ...] = ()
    """The newest first."""
    window: str = ""
    """What an experiment is counted under, whose challenger has a share of the traffic; empty: there is
    none."""
    previous: Variant | None = None
    """What had all requests before the stable one, on the same engines: the way back is known to be good."""

    @property
    def revisions(self) -> tuple[str, ...]:
        """The engine revisions this state needs, the stable one first."""
        return variant.revisions((self.stable, self.candidate))

    @property
    def shares_engines(self) -> bool:
        """Whether the change is one between variants of the same engines: it moves no pods."""
        return len(self.revisions) == 1

    @property
    def returns(self) -> bool:
        """Whether the change goes back to what served before, on engines that are there."""
        return self.candidate is not None and self.candidate == self.previous and self.shares_engines

    @property
    def weight(self) -> int:
        """The candidate's percent of requests."""
        return next((share.weight for share in self.traffic if share.variant == self.candidate), 0)

    @property
    def division(self) -> Division:
        """What routers are told of it."""
        return variant.division(self.traffic, self.candidate, self.step, self.index, self.window)

    @property
    def undivided(self) -> State:
        """The same without an experiment."""
        if not self.window or self.stable is None:
            return self
        return replace(self, traffic=(Share(self.stable, 100),), window="")

    def rejection(self, candidate: Variant | None) -> Rejection | None:
        """Why a variant was rejected; None where it wasn't."""
        return next((one for one in self.rejections if one.variant == candidate), None)

    def rejecting(self, one: Rejection) -> tuple[Rejection, ...]:
        """The rejections with one more."""
        others = (other for other in self.rejections if other.variant != one.variant)
        return (one, *others)[:REJECTIONS_KEPT]
