"""What the spec asks of a change: its phases with their weights, and how many engines each needs.

A canary has a phase per step. BlueGreen has one without weight, in which the stable variant is measured while
the candidate stands ready, and then bakes. Surge and Recreate have none.
"""

from __future__ import annotations

from dataclasses import dataclass

from pointsman.api.rollout import Analysis, Approval, CanaryStep, Rollout, Strategy
from pointsman.api.service_status import Step
from pointsman.core.rollout.state import State

WEIGHTS = (5, 20, 50)
"""A canary's steps where none are declared."""
STEP_SECONDS = 60
INTERVAL_SECONDS = 60
BAKE_SECONDS = 600

GATHERING = frozenset({Step.CAPACITY, Step.TRIAL, Step.CANARY})
"""Steps in which the candidate needs no more engines than its phase asks for."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the change in which weights stay as they are."""

    weight: int
    """The candidate's percent of requests."""
    shadow: int = 0
    """Percent of requests that are copied to it."""
    seconds: int = STEP_SECONDS
    """How long it lasts at least."""
    samples: int = 0
    """Requests that the candidate must have answered."""
    manual: bool = False
    """It ends with a person's word."""
    gated: bool = True
    """The gates must have passed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a change comes in."""

    strategy: Strategy = Strategy.SURGE
    phases: tuple[Phase, ...] = ()
    bake: Phase | None = None
    """What follows when the candidate has all the traffic, while the old one stays."""
    approve: str = ""
    """The candidate that a person lets pass."""
    abort: str = ""
    """The candidate that a person rejects."""

    def phase(self, index: int) -> Phase | None:
        """The phase of this number; None past the last."""
        return self.phases[index] if index < len(self.phases) else None

    def measured(self, state: State) -> Phase | None:
        """The phase in which a state compares candidate and stable; None where it doesn't."""
        if state.step is Step.CANARY:
            return self.phase(state.index)
        return self.bake if state.step is Step.BAKING else None

    def weight(self, state: State) -> int:
        """The candidate's percent of requests that a state is about, if it is there to answer them."""
        match state.step:
            case Step.CAPACITY if state.index:
                # What the phase before had, while engines for the next one come up.
                before = self.phases[: state.index]
                return before[-1].weight if before else state.weight
            case Step.CANARY:
                phase = self.phase(state.index)
                return phase.weight if phase else state.weight
            case Step.TRAFFIC | Step.BAKING:
                return 100
            case _:
                return 0

    def engines(self, state: State, revision: str, replicas: int) -> int:
        """How many engines of a revision a state needs, when all of a service are `replicas`.

        The stable variant keeps all of them. A candidate has its part: ceil(replicas * percent / 100), at
        least one. With 8 replicas 5 percent are 1 engine, 20 percent 2, 50 percent 4, and all after the last
        phase.
        """
        if state.stable is not None and revision == state.stable.revision:
            return replicas
        phase = self.phase(state.index) if state.step in GATHERING else None
        if phase is None or self.bake is not None:
            return replicas
        share = -(-replicas * max(phase.weight, phase.shadow) // 100)
        return min(max(share, 1), replicas)


def plan(spec: Rollout | None) -> Plan:
    """The plan of a spec."""
    given = spec or Rollout()
    bare = Plan(given.strategy, approve=given.approve or "", abort=given.abort or "")
    match given.strategy:
        case Strategy.CANARY:
            return Plan(bare.strategy, _phases(given), None, bare.approve, bare.abort)
        case Strategy.BLUE_GREEN:
            return Plan(bare.strategy, (_before(given),), _bake(given), bare.approve, bare.abort)
        case _:
            return bare


def interval(analysis: Analysis | None) -> int:
    """Seconds between two looks."""
    return (analysis and analysis.interval_seconds) or INTERVAL_SECONDS


def _phases(given: Rollout) -> tuple[Phase, ...]:
    if given.steps is None:
        return tuple(map(Phase, WEIGHTS))
    return tuple(map(_phase, given.steps))


def _phase(step: CanaryStep) -> Phase:
    return Phase(
        weight=step.weight,
        shadow=step.shadow or 0,
        seconds=STEP_SECONDS if step.min_seconds is None else step.min_seconds,
        samples=step.min_samples or 0,
        manual=step.approval is Approval.MANUAL,
    )


def _before(given: Rollout) -> Phase:
    """Before a switch: as long as the stable variant is measured, to have something to compare with."""
    compares = given.gates is None or bool(given.gates)
    return Phase(
        weight=0,
        seconds=interval(given.analysis) if compares else 0,
        manual=given.approval is Approval.MANUAL,
        gated=False,
    )


def _bake(given: Rollout) -> Phase:
    seconds = BAKE_SECONDS if given.bake_seconds is None else given.bake_seconds
    return Phase(weight=100, seconds=seconds)
