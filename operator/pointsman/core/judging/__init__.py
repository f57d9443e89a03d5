"""Is the candidate worse than the stable variant? What routers counted of both, put to each gate.

`summary` is what routers count, `gates` what is asked of it. `rates` and `values` compare, `ratios` each kind
of answer with its own; `boundary` says what chance may do when somebody looks again and again, `evidence` is
what is kept between looks, and `judgement` decides; `versus` does for an experiment, which asks both ways.
Pure arithmetic over counts: knows no Kubernetes object, no step and no clock.

How it's used, per step: once its weight is acknowledged and the candidate's `WarmUp` is over, the merged
totals of all routers are the baseline; every later `Look` is what came `since` then. About
every ten seconds (`interval_over`) `Evidence.after` takes in what passed since the look before; `judge` may
be asked at any time. When the step ends, `Evidence.with_step_ended` keeps what it has shown for the steps
after it.
"""

from __future__ import annotations

from pointsman.core.judging.evidence import Evidence, interval_over
from pointsman.core.judging.gates import DEFAULTS, Gate, Worse
from pointsman.core.judging.judgement import FALSE_PASS, FALSE_REJECTION, judge, verdict
from pointsman.core.judging.saying import Judgement, Verdict
from pointsman.core.judging.summary import NOTHING, Kind, Look, Metric, Summary, WarmUp
from pointsman.core.judging.values import Statistic
from pointsman.core.judging.versus import Comparison, Standing, compare

__all__ = [
    "DEFAULTS",
    "FALSE_PASS",
    "FALSE_REJECTION",
    "NOTHING",
    "Comparison",
    "Evidence",
    "Gate",
    "Judgement",
    "Kind",
    "Look",
    "Metric",
    "Standing",
    "Statistic",
    "Summary",
    "Verdict",
    "WarmUp",
    "Worse",
    "compare",
    "interval_over",
    "judge",
    "verdict",
]
