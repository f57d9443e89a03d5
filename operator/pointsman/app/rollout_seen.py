"""A rollout as an LLMService's status tells it, read from the object as the API server has it.

Read leniently: a CLI is often older or newer than what wrote the status. Values, and nothing of how they're
shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

Json = Mapping[str, Any]
MIN_SECONDS: Final = 60
"""What a step's minSeconds means when it isn't set."""
DEFAULT_WEIGHTS: Final = (5, 20, 50)
BAKE_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class CanaryStep:
    """One step of a canary, as declared."""

    weight: int
    shadow: int
    least: timedelta
    samples: int
    by_hand: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """One LLMService at one moment."""

    service: Json
    now: datetime

    @property
    def name(self) -> str:
        return str(self.service["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.service["metadata"].get("namespace", ""))

    @property
    def declared(self) -> Json:
        """spec.rollout."""
        return (self.service.get("spec") or {}).get("rollout") or {}

    @property
    def status(self) -> Json:
        return self.service.get("status") or {}

    @property
    def rollout(self) -> Json:
        """status.rollout."""
        return self.status.get("rollout") or {}

    @property
    def analysis(self) -> Json:
        """What the comparison found in the present step; empty before its first look."""
        found: Json = self.rollout.get("analysis") or {}
        return found if str(found.get("window", "")).endswith(f"/{self.index}") else {}

    @property
    def experiment(self) -> Json:
        """status.experiment, as long as one is declared."""
        declared = (self.service.get("spec") or {}).get("experiment")
        return (self.status.get("experiment") or {}) if declared else {}

    @property
    def challenger(self) -> str:
        """The experiment's challenger, while it has a share of the requests."""
        name = str(self.experiment.get("challenger") or "")
        return name if self.weight_of(name)[0] and name != self.candidate else ""

    @property
    def strategy(self) -> str:
        return str(self.declared.get("strategy") or "Surge")

    @property
    def step(self) -> str:
        return str(self.rollout.get("step") or "")

    @property
    def index(self) -> int:
        return int(self.rollout.get("stepIndex") or 0)

    @property
    def stable(self) -> str:
        return str(self.rollout.get("stable") or "")

    @property
    def candidate(self) -> str:
        return str(self.rollout.get("candidate") or "")

    @property
    def steps(self) -> list[CanaryStep]:
        """Of a canary; those that are meant where none is declared."""
        given: Sequence[Json] = self.declared.get("steps") or [{"weight": w} for w in DEFAULT_WEIGHTS]
        return [
            CanaryStep(
                weight=int(one.get("weight", 0)),
                shadow=int(one.get("shadow") or 0),
                least=timedelta(seconds=int(MIN_SECONDS if (s := one.get("minSeconds")) is None else s)),
                samples=int(one.get("minSamples") or 0),
                by_hand=one.get("approval") == "Manual",
            )
            for one in given
        ]

    @property
    def bake(self) -> timedelta:
        seconds = self.declared.get("bakeSeconds")
        return timedelta(seconds=BAKE_SECONDS if seconds is None else int(seconds))

    @property
    def tried(self) -> bool:
        """Whether a candidate is tried before it gets traffic. One that shares the stable one's engines isn't
        compared with it: by its prompt it's meant to answer otherwise."""
        compared = self.declared.get("equivalence") and not self.shares_engines
        return bool(self.declared.get("suiteRef") or compared)

    @property
    def shares_engines(self) -> bool:
        """Whether there is a candidate that differs from the stable one in its prompt alone."""
        return bool(self.candidate) and self.candidate.partition(".")[0] == self.stable.partition(".")[0]

    @property
    def checked(self) -> bool:
        """Whether webhooks or Jobs have a word in each step."""
        return bool(self.declared.get("checks"))

    @property
    def approved(self) -> bool:
        return bool(self.candidate) and self.declared.get("approve") == self.candidate

    @property
    def elapsed(self) -> timedelta | None:
        """How long the present step has lasted, as far as it counts: a canary's from when every router had
        taken it. None where that isn't known."""
        began = self.analysis.get("startedAt") if self.step == "Canary" else self.rollout.get("stepStartedAt")
        return max(self.now - moment(began), timedelta()) if began else None

    @property
    def current(self) -> bool:
        """Whether status speaks of what is declared now."""
        observed = int(self.status.get("observedGeneration") or 0)
        return observed >= int(self.service["metadata"].get("generation") or 0)

    @property
    def rejection(self) -> Json:
        """The newest rejection, where what is declared was rejected."""
        ready = self.condition("Ready")
        rejected = ready.get("reason") in ("CanaryRejected", "RolloutAborted")
        found: Sequence[Json] = self.rollout.get("rejections") or ()
        return found[0] if found and rejected and not self.candidate else {}

    def condition(self, kind: str) -> Json:
        """A condition; empty where there is none."""
        listed: Sequence[Json] = self.status.get("conditions") or ()
        return next((one for one in listed if one.get("type") == kind), {})

    def weight_of(self, variant: str) -> tuple[int, int]:
        """Its percent of requests, and of copies."""
        shares: Sequence[Json] = self.rollout.get("traffic") or ()
        found = next((one for one in shares if one.get("revision") == variant), {})
        return int(found.get("weight") or 0), int(found.get("shadow") or 0)

    @property
    def ready(self) -> bool:
        return self.current and self.condition("Ready").get("status") == "True"

    @property
    def stalled(self) -> bool:
        return self.current and self.condition("Stalled").get("status") == "True"


def moment(text: object) -> datetime:
    """A time as the API has it."""
    return datetime.fromisoformat(str(text))


def lasting(duration: timedelta) -> str:
    """A duration in words that hold about still: 47s, 3m20s, 2h05m, 3d4h."""
    seconds = int(duration.total_seconds())
    if seconds < 60:
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m{seconds:02}s" if seconds else f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02}m" if minutes else f"{hours}h"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours}h" if hours else f"{days}d"
