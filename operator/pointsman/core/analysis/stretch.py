"""Stretches of a step: from where on its counts go together, since something tore them apart.

A router that begins anew has forgotten what it counted, and one that is gone takes it along. Taken from what
is counted next, what was counted before would make intervals out of leftovers: of rates, mostly errors of one
side. And while no engine of the stable variant answers, there's nothing to compare with. So what was found
until then stands by itself, like a step that ended, and counting begins with what routers tell now.
"""

from __future__ import annotations

from collections.abc import Sequence

from pointsman.core.analysis.record import Memory
from pointsman.core.judging import Gate, Look


def seen(memory: Memory, told: Look) -> Look:
    """What routers told of this stretch alone."""
    return told.since(memory.origin)


def torn(memory: Memory, told: Look) -> bool:
    """Whether routers have forgotten something since they were last asked."""
    mine = seen(memory, told)
    return told.lacks(memory.origin) or mine.lacks(memory.mark) or mine.lacks(memory.last)


def anew(memory: Memory, asked: Sequence[Gate], told: Look) -> Memory:
    """What the next stretch begins with."""
    latest = max(memory.last, memory.mark, key=lambda look: look.seconds)
    return Memory(memory.evidence.with_step_ended(asked, latest), calm=memory.calm, origin=told)


def put_off(memory: Memory, asked: Sequence[Gate], told: Look) -> Memory:
    """The same while there's nothing to compare with: what is counted meanwhile is for no stretch."""
    mine = seen(memory, told)
    idle = not mine.stable.telling and not mine.candidate.telling
    return memory if idle else anew(memory, asked, told)
