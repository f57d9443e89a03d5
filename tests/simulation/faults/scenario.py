"""What a scenario is: a row of the table in `scenarios`, and how rows are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.simulation.faults.acts import REST, Act, serve
from tests.simulation.stories import CHAT


@dataclass(frozen=True, slots=True)
class Scenario:
    """A row of the table."""

    name: str
    given: str
    acts: tuple[Act, ...]
    ends: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(Kind/name, condition) to `status` or `status/reason`."""
    served: frozenset[str] = frozenset()
    """Services that somebody uses all the while."""
    revert: Act | None = None
    """What takes the service back to where the scenario began, at any moment."""


READY = {("LLMService/chat", "Ready"): "True", ("LLMService/chat", "Stalled"): "-"}
BACK = serve(CHAT)


def row(
    name: str,
    given: str,
    *happens: Act,
    ends: Mapping[tuple[str, str], str] = READY,
    served: bool = True,
    revert: Act | None = None,
) -> Scenario:
    return Scenario(name, given, (*happens, REST), ends, frozenset({"chat"} if served else ()), revert)
