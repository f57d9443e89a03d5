"""What one pass saw that matters to a rollout: a value, made of facts by whoever knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from pointsman.api.conditions import Reason
from pointsman.core.rollout.plan import Plan
from pointsman.core.variant import Variant


class Trial(Enum):
    """How the trial of a candidate stands."""

    NONE = auto()
    """There is none to pass."""
    RUNNING = auto()
    PASSED = auto()
    FAILED = auto()


class Word(Enum):
    """What a comparison, or whoever decides besides it, says of the candidate in this phase."""

    WAIT = auto()
    PASS = auto()
    REJECT = auto()


@dataclass(frozen=True, slots=True)
class Judged:
    """A word, and why."""

    word: Word = Word.WAIT
    reason: Reason = Reason.ANALYSING
    message: str = ""


@dataclass(frozen=True, slots=True)
class Checks:
    """How the checks of a phase stand: the words of others about the candidate. All empty: each said yes."""

    failed: str = ""
    """Which said no, and what."""
    stuck: str = ""
    """Which come to no verdict, and why."""
    since: datetime | None = None
    """Since when the first of those has come to none."""
    running: str = ""
    """Names of those that have said nothing yet."""


UNJUDGED = Judged()
"""What is said before anything was found."""
SURGE = Plan()


@dataclass(frozen=True, slots=True)
class Observation:
    """What one pass saw that matters to a rollout. `ready`, `down`, `present`, `leaving` are of engine
    revisions."""

    target: Variant | None
    """Variant the spec asks for; None while its inputs can't be resolved (then nothing moves)."""
    ready: frozenset[str] = frozenset()
    """Those with all the capacity that the state asks for, ready in the eyes of every router."""
    down: frozenset[str] = frozenset()
    """Those of which no engine can answer, as far as is known."""
    present: frozenset[str] = frozenset()
    """Those of which a Deployment, or a pod still leaving, exists."""
    leaving: frozenset[str] = frozenset()
    """Those of `present` that are being deleted already."""
    acknowledged: bool = False
    """Every live router runs exactly the configuration that follows from the current state."""
    plan: Plan = SURGE
    startable: bool = True
    """The target could be started now. Until then nothing gives way to it."""
    trial: Trial = Trial.NONE
    why: str = ""
    """What the trial found, where it failed."""
    judged: Judged = UNJUDGED
    """What was found of the candidate in the current phase."""
