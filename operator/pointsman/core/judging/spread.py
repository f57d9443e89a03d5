"""How much more than chance the difference moves: what bursts and moods take from the worth of a sample.

Requests of one burst are slow together, so a thousand of them tell less than a thousand independent ones.
How much less is seen by how the estimates of short intervals differ from each other, compared with how they
would if requests were independent. What slows both variants alike cancels, since they're measured over the
same time.

Neighbouring intervals resemble each other too, so groups of them are compared in the same way. Short
intervals tell something after a minute, long ones the truth later: the former, made larger, are what is
believed of the latter until they have spoken.

Source: Cochran's Q over the intervals' own estimates, divided by its degrees of freedom (Birge, The
calculation of errors by the method of least squares, Physical Review 40, 1932; Cochran, The combination of
estimates from different experiments, Biometrics 10, 1954), kept running by West's update (Communications of
the ACM 22, 1979). Groups are the batch means of simulation (Law and Carson, A sequential procedure for
determining the length of a steady-state simulation, Operations Research 27, 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

GROUP: Final = 6
"""Intervals of a group: a minute of ten seconds each."""


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed before much was seen."""

    excess: float
    """Of intervals: how many requests are worth one independent one."""
    longer: float
    """By how much groups exceed intervals."""
    worth: float
    """How many intervals that's worth."""
    groups: float
    """And how many groups."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Estimates, weighed by their precision, and how they differ."""

    number: int = 0
    precision: float = 0.0
    mean: float = 0.0
    q: float = 0.0

    def and_one(self, estimate: float, weight: float) -> Pool:
        """With another estimate."""
        precision = self.precision + weight
        off = estimate - self.mean
        return Pool(
            self.number + 1,
            precision,
            self.mean + off * weight / precision,
            self.q + off * off * weight * self.precision / precision,
        )

    def excess(self, believed: float, worth: float) -> float:
        """How much more they differ than chance would have it; never less."""
        return max((worth * believed + self.q) / (worth + max(self.number - 1, 0)), 1.0)


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one gate. Twelve numbers."""

    intervals: Pool = Pool()
    group: Pool = Pool()
    """The one that's filling."""
    groups: Pool = Pool()

    def and_one(self, estimate: float, variance: float) -> Spread:
        """With another interval's estimate, and the variance it would have of independent requests."""
        weight = 1 / variance
        group, groups = self.group.and_one(estimate, weight), self.groups
        if group.number >= GROUP:
            group, groups = Pool(), groups.and_one(group.mean, group.precision)
        return Spread(self.intervals.and_one(estimate, weight), group, groups)

    def excess(self, belief: Belief) -> float:
        """How many requests are worth one independent one."""
        short = self.intervals.excess(belief.excess, belief.worth)
        return max(self.groups.excess(belief.longer * short, belief.groups), short)

    def free(self, belief: Belief) -> float:
        """On how many degrees of freedom that stands."""
        return belief.worth + max(self.intervals.number - 1, 0)

    def numbers(self) -> tuple[float, ...]:
        """As JSON has it."""
        pools = (self.intervals, self.group, self.groups)
        return tuple(n for pool in pools for n in (pool.number, pool.precision, pool.mean, pool.q))

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        """Of what `numbers` gave."""
        return cls(
            *(Pool(int(numbers[at]), *(float(n) for n in numbers[at + 1 : at + 4])) for at in (0, 4, 8))
        )
