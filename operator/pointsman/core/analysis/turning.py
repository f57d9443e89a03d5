"""Both tests at one look: over the whole rollout so far, and over what came since the last look alone.

The first grows surer with every request, and takes what moves from one interval to the next for noise. A
candidate that was good for ten minutes and fails from then on would look like very much noise, and the worse
it is the longer it would last. The second looks at the newest interval by itself, against the noise that was
seen before it.

What may be rejected falsely is divided between the two; the second spends its fifth over looks without end,
1/(n(n+1)) of it at the n-th, which sums to one. Each interval is judged once, at its own look, so no bound
for every moment is on top of that; only before any noise was seen, at the first look, is there one. Given 4
of a hundred from the second to the tenth look, fifty times what it has, it rejected one to two of a hundred
of 250 of bench-canary's rollouts with nothing wrong, and four where moods are more than twice as large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pointsman.core import judging
from pointsman.core.analysis.record import Memory
from pointsman.core.judging import Evidence, Gate, Judgement, Look, Verdict

TURNS = 0.2
"""The part of what may be rejected falsely that the newest intervals may."""
LEAST_REQUESTS = 100
"""Of the candidate, before a turn is looked for: fewer are joined to those of the next look."""


def sampled(memory: Memory, asked: Sequence[Gate], seen: Look) -> Memory:
    """With what came since the interval under way began, once that's enough to tell something."""
    if not judging.interval_over(memory.mark, seen):
        return memory
    return replace(memory, evidence=memory.evidence.after(asked, memory.mark, seen), mark=seen)


def judge(
    asked: Sequence[Gate], memory: Memory, seen: Look, looks: int, error: float
) -> tuple[Judgement, ...]:
    """What each gate says: that something has turned, where it has, else what all of it says."""
    whole = judging.judge(asked, [seen], error * (1 - TURNS), evidence=memory.evidence)
    newest = seen.since(memory.base)
    if not _enough(newest):
        return whole
    part = error * TURNS / (looks * (looks + 1))
    turned = judging.judge(asked, [newest], part, evidence=memory.calm, once=True)
    return tuple(
        now if now.verdict is Verdict.FAIL else ever for now, ever in zip(turned, whole, strict=True)
    )


def remembered(memory: Memory, seen: Look) -> Memory:
    """What the next look begins with."""
    memory = replace(memory, last=seen)
    if not _enough(seen.since(memory.base)):
        return memory
    return replace(memory, base=seen, calm=Evidence(spreads=memory.evidence.spreads))


def _enough(newest: Look) -> bool:
    return newest.candidate.telling >= LEAST_REQUESTS
