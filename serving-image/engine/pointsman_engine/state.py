"""What the entrypoint is doing now: the phase and the figures that routers and probes read.

Only the event loop's thread changes it. It knows the order of phases, and nothing of who changes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

HUNG_AFTER_S = 60.0
"""An engine that was ready and hasn't answered for so long counts as hung."""


class Phase(StrEnum):
    PREFLIGHT = "Preflight"
    DOWNLOADING = "Downloading"
    LOADING = "Loading"
    PROVING = "Proving"
    READY = "Ready"
    DRAINING = "Draining"
    FAILED = "Failed"


@dataclass(slots=True)
class State:
    """The running entrypoint. Times are seconds since the epoch, except for the two that are monotonic."""

    since: float
    begun: float = 0.0
    """Monotonic time of the entrypoint's first second."""
    phase: Phase = Phase.PREFLIGHT
    bytes_loaded: int = 0
    bytes_total: int = 0
    timings: dict[str, float] = field(default_factory=dict)
    in_flight: int = 0
    reason: str = ""
    message: str = ""
    started: bool = False
    """Whether Ready was ever reached."""
    answered: float = 0.0
    """Monotonic time of the engine's last answer to a health check."""

    def enter(self, phase: Phase, now: float) -> None:
        """Changes the phase. Failed is final, and a draining engine never becomes ready again."""
        if self.phase is Phase.FAILED or (self.phase is Phase.DRAINING and phase is not Phase.FAILED):
            return
        self.phase, self.since = phase, now
        self.started = self.started or phase is Phase.READY

    def hung(self, monotonic: float) -> bool:
        """Whether an engine that was ready has stopped answering."""
        return self.started and monotonic - self.answered > HUNG_AFTER_S

    def document(self, monotonic: float) -> dict[str, object]:
        """The body of GET /status; times in seconds, sizes in bytes."""
        return {
            "phase": str(self.phase),
            "since": round(self.since, 3),
            "elapsed": round(monotonic - self.begun, 3),
            "bytesLoaded": self.bytes_loaded,
            "bytesTotal": self.bytes_total,
            "timings": {name: round(seconds, 3) for name, seconds in self.timings.items()},
            "inFlight": self.in_flight,
            "reason": self.reason,
            "message": self.message,
        }
