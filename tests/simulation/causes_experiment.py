"""The causes of what is said of an experiment between two prompts."""

from __future__ import annotations

from typing import Any, Final

from pointsman.api.conditions import ConditionType as C
from pointsman.api.conditions import Reason as R
from tests.simulation.causes import Act, Cause
from tests.simulation.causes_rollout import JUDGED
from tests.simulation.measuring import Manner
from tests.simulation.stories import CHAT, engines, serving
from tests.simulation.test_prompts import SECOND, short
from tests.simulation.trouble import TroubledCluster


def compared(rival: Manner | None = None, seconds: int = 0, rate: float = 100.0, **given: Any) -> Act:
    """An experiment whose control fails now and then, and whose challenger answers in some manner."""
    metrics = [{"metric": "errorRate", "relevantPermille": 30}]
    declared = {"promptRef": {"name": "support-v2"}, "metrics": metrics, **given}

    async def act(cluster: TroubledCluster) -> None:
        cluster.routers.measuring.rate = rate
        await cluster.apply("PromptVersion", "support-v2", SECOND)
        await serving(cluster, CHAT)
        (engine,) = engines(cluster)
        cluster.routers.measuring.manners[engine] = Manner(failing=0.1)
        cluster.routers.measuring.manners[f"{engine}.support-v2.{short(SECOND)}"] = rival or Manner(
            failing=0.1
        )
        await cluster.apply("LLMService", "chat", {**CHAT, "experiment": declared})
        await cluster.rounds(seconds)

    return act


async def unnamed(cluster: TroubledCluster) -> None:
    await serving(cluster, CHAT)
    declared = {"promptRef": {"name": "missing"}, "metrics": [{"metric": "errorRate"}]}
    await cluster.apply("LLMService", "chat", {**CHAT, "experiment": declared})


OF: Final = C.EXPERIMENT_CONCLUDED
COMPARED: Final = (
    Cause(R.EXPERIMENT_WAITING, OF, "False", unnamed, says="there is no PromptVersion 'missing'"),
    Cause(R.EXPERIMENT_RUNNING, OF, "False", compared(rate=0.0), says="support-v2"),
    Cause(R.CHALLENGER_BETTER, OF, "True", compared(Manner(failing=0.01), 100), says="errorRate"),
    Cause(R.CONTROL_BETTER, OF, "True", compared(Manner(failing=0.3), 100), says="errorRate"),
    Cause(R.NO_DIFFERENCE, OF, "True", compared(None, 300), says="errorRate"),
    Cause(R.UNDECIDED, OF, "True", compared(rate=0.0, seconds=100, maxSeconds=60), says="maxSeconds"),
)

CHANGES: Final = (*JUDGED, *COMPARED)
"""Of changes and experiments together."""
