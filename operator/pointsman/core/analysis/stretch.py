"""What of a step's counts goes together, where something tore them apart.

A router that begins anew has forgotten what it counted, and one that is gone takes it along. Taken from what
is told next, what was told before would make intervals out of leftovers: of rates, mostly errors of one side.
So intervals begin with what routers tell then. All that they still tell goes on to count, and what comes back
with a router that was merely out of sight does too: each request once.

While no engine of the stable variant answers, the candidate has all requests and nobody to be compared with.
How it takes them says nothing of its own share, so all that was counted until then is left out.
"""

from __future__ import annotations

from dataclasses import replace

from pointsman.core.analysis.record import Memory
from pointsman.core.judging import NOTHING, Look


def seen(memory: Memory, told: Look) -> Look:
    """What is compared, of what routers told."""
    return told.since(memory.origin)


def torn(memory: Memory, told: Look) -> bool:
    """Whether routers have forgotten something since they were last asked."""
    mine = seen(memory, told)
    return told.lacks(memory.origin) or mine.lacks(memory.mark) or mine.lacks(memory.last)


def mended(memory: Memory, told: Look) -> Memory:
    """The memory after a tear. Where something was left out, it can't be any more of what is left: then all
    of it is."""
    if memory.origin != NOTHING:
        return _without(memory, told)
    return replace(memory, last=told, mark=told, base=told)


def begun(memory: Memory, told: Look) -> Memory:
    """Leaves out what was told until now; what earlier steps have shown stands. The same where nothing came
    since that was left out last."""
    mine = seen(memory, told)
    if memory.origin != NOTHING and not mine.stable.telling and not mine.candidate.telling:
        return memory
    return _without(memory, told)


def _without(memory: Memory, told: Look) -> Memory:
    return Memory(memory.evidence, calm=memory.calm, origin=told)
