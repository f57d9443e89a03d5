"""Which of several variants a request belongs to: its draw, a number in [0, 1).

What is sticky is drawn by hash, so every router and every process gives a session or a conversation to the
same variant, and keeps it there while weights rise: the last variant's share is the end of the range, so more
of it takes more people and lets none go. What is not sticky takes turns: of each hundred requests exactly as
many fall into a share as it has percent. Compiled per service, and only where more than one variant has
weight. Knows nothing of variants or engines.
"""

from __future__ import annotations

from typing import Final

from xxhash import xxh3_64_intdigest as digest

from pointsman_router.config import Assignment, AssignmentKey
from pointsman_router.picking.prompts import Said

_ROUND: Final = 100
"""Weights are whole percents."""
_STEP: Final = 61
"""Without a divisor in common with a round, and near its golden section: every slot of a round comes once,
and those of a share are spread over it."""
_UNIT: Final = 2.0**-53


class Turns:
    """Draws for requests that nothing keeps together. Outlives tables, so that shares stay exact."""

    __slots__ = ("_seed", "_taken", "_turned")

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._taken = 0
        self._turned = 0

    def draw(self) -> float:
        """The next one: the middle of a slot that wasn't given before in this round."""
        taken = self._taken % _ROUND
        if not taken:
            # Each round begins elsewhere, or a client whose requests alternate would show a small share only
            # one kind of them.
            self._turned = digest(self._taken.to_bytes(8, "little"), self._seed) % _ROUND
        self._taken += 1
        return ((taken + self._turned) * _STEP % _ROUND + 0.5) / _ROUND


class Assigner:
    """Draws for one service's requests."""

    __slots__ = ("_conversation", "_seed", "_sticky", "_turns")

    def __init__(self, assignment: Assignment, turns: Turns) -> None:
        self._sticky = assignment.key is not AssignmentKey.NONE
        self._conversation = assignment.key is AssignmentKey.CONVERSATION
        self._seed = seed_of(assignment.salt)
        self._turns = turns

    def draw(self, session: int, said: Said) -> float:
        """A request's own. `session`: the hash of its session, 0 for none."""
        if self._sticky:
            if session:
                if self._seed:
                    session = digest(session.to_bytes(8, "little"), self._seed)
                return (session >> 11) * _UNIT
            if self._conversation:
                first = said.opening()
                if first:
                    return (digest(first, self._seed) >> 11) * _UNIT
        return self._turns.draw()


class Copies:
    """Which requests are copied to a variant without weight."""

    __slots__ = ("_percent", "_turns", "variant")

    def __init__(self, variant: str, percent: int, turns: Turns) -> None:
        self.variant = variant
        self._percent = percent
        self._turns = turns

    def takes(self) -> bool:
        """Whether the next request is one: of a hundred exactly as many as percent."""
        return self._turns.draw() * _ROUND < self._percent


def seed_of(salt: str) -> int:
    """What a salt does to draws; 0 for none."""
    return digest(salt.encode("utf-8", "surrogatepass")) if salt else 0
