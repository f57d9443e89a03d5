"""Which variant serves, and what has to happen before another one may: a pure state machine.

`step(state, observation) -> state`. The state keeps only what can't be observed again (which variant is
stable, which is the candidate, how far the change has come, what was rejected); everything else is looked at
in each pass. Make before break takes three observed passes: capacity (the candidate is ready in every
router's eyes), traffic (every router acknowledges the new weights), removal. A canary goes through the first
two once per step; with Recreate the old revision leaves first, and the gap is a step of its own.

Traffic is divided between variants, pods belong to engine revisions: variants that share one move no pods.
`plan` is what the spec asks of a change, `state` what is remembered, `observation` what is seen, `machine`
what follows. None of them knows Kubernetes objects or routers; they are told names and facts.
"""

from __future__ import annotations

from pointsman.core.rollout.machine import recover, step
from pointsman.core.rollout.observation import UNJUDGED, Checks, Judged, Observation, Trial, Word
from pointsman.core.rollout.plan import Phase, Plan, interval, plan
from pointsman.core.rollout.state import Rejection, State

__all__ = [
    "UNJUDGED",
    "Checks",
    "Judged",
    "Observation",
    "Phase",
    "Plan",
    "Rejection",
    "State",
    "Trial",
    "Word",
    "interval",
    "plan",
    "recover",
    "step",
]
