"""The causes of what is said of a change that is tried, compared, approved or rejected."""

from __future__ import annotations

from typing import Any, Final

from pointsman.api.conditions import ConditionType as C
from pointsman.api.conditions import Reason as R
from tests.simulation.causes import Act, Cause, applying
from tests.simulation.measuring import Manner
from tests.simulation.stories import CHAT, rollout, serving
from tests.simulation.trouble import TroubledCluster


def judged(rate: float = 100.0, manner: Manner | None = None, seconds: int = 0, **given: Any) -> Act:
    """A canary at so many requests a second, whose candidate answers in some manner."""
    declared = {
        **CHAT,
        "rollout": {"strategy": "Canary", "steps": [{"weight": 50, "minSeconds": 0}], **given},
    }

    async def act(cluster: TroubledCluster) -> None:
        cluster.routers.measuring.rate = rate
        await serving(cluster, declared)
        await cluster.apply("LLMService", "chat", {**declared, "drainSeconds": 7})
        await cluster.round()
        if manner is not None:
            cluster.routers.measuring.manners[rollout(cluster)["candidate"]] = manner
        await cluster.rounds(seconds)

    return act


async def aborted(cluster: TroubledCluster) -> None:
    await judged(rate=0.0)(cluster)
    candidate = rollout(cluster)["candidate"]
    given = {"strategy": "Canary", "abort": candidate}
    await cluster.apply("LLMService", "chat", {**CHAT, "drainSeconds": 7, "rollout": given})


async def tried(cluster: TroubledCluster) -> None:
    declared = {**CHAT, "rollout": {"equivalence": {"prompts": ["2 + 2 ="]}}}
    await serving(cluster, declared)
    cluster.trial = None
    await cluster.apply("LLMService", "chat", {**declared, "drainSeconds": 7})


async def strange_suite(cluster: TroubledCluster) -> None:
    """A prompt that is to come in by a suite of another family."""
    said = {"family": "sales", "messages": [{"role": "system", "content": "Be brief."}]}
    await cluster.apply("PromptVersion", "v1", said)
    cases = [{"name": "a", "assertions": [{"exact": "b"}]}]
    await cluster.apply("PromptSuite", "support", {"family": "support", "cases": cases})
    await serving(cluster, CHAT)
    tested = {**CHAT, "promptRef": {"name": "v1"}, "rollout": {"suiteRef": {"name": "support"}}}
    await cluster.apply("LLMService", "chat", tested)


def checked(says: dict[str, Any] | None) -> Act:
    """A canary of which a check says this; None: it thinks on."""
    given: dict[str, Any] = {"steps": [{"weight": 50, "minSeconds": 0}], "gates": []}
    asks = {"name": "budget", "webhook": {"url": "https://ci.test/gate"}}

    async def act(cluster: TroubledCluster) -> None:
        cluster.check = says
        await judged(rate=0.0, seconds=15, analysis=SELDOM, checks=[asks], **given)(cluster)

    return act


async def bereft(cluster: TroubledCluster) -> None:
    """A canary whose stable Deployment somebody deletes, and whose new pods don't come up."""
    await judged(rate=0.0, steps=[{"weight": 50, "minSeconds": 600}], analysis=SELDOM)(cluster)
    await cluster.rounds(20)
    stable = rollout(cluster)["stable"]
    cluster.failing[stable] = {"name": "engine", "ready": False, "restartCount": 0}
    await cluster.delete("Deployment", stable)


BACK = applying(CHAT)


async def stable_heals(cluster: TroubledCluster) -> None:
    del cluster.failing[rollout(cluster)["stable"]]
    await BACK(cluster)


SELDOM: Final = {"intervalSeconds": 3600}
OFTEN: Final = {"intervalSeconds": 10}
MANUAL: Final = [{"weight": 50, "minSeconds": 0, "approval": "Manual"}]

JUDGED: Final = (
    Cause(
        R.SUITE_FAMILY_MISMATCH,
        C.REFERENCES_RESOLVED,
        "False",
        strange_suite,
        BACK,
        says="PromptSuite 'support' tests prompts of family 'support', and PromptVersion 'v1' is of 'sales'",
    ),
    Cause(R.TRIAL_RUNNING, C.READY, "False", tried, BACK),
    Cause(
        R.STABLE_FAILING,
        C.ROLLOUT_HEALTHY,
        "False",
        bereft,
        stable_heals,
        says="answers, so its requests go to the candidate",
    ),
    Cause(
        R.ANALYSING,
        C.READY,
        "False",
        judged(rate=0.0, steps=[{"weight": 10, "minSeconds": 600}, {"weight": 50}], analysis=SELDOM),
        BACK,
        says="step 1 of 2: the candidate has 10 % of requests",
    ),
    Cause(
        R.AWAITING_SAMPLES,
        C.READY,
        "False",
        judged(rate=0.0, analysis=SELDOM),
        BACK,
        says="nothing is certain yet about errorRate",
    ),
    Cause(
        R.CHECKS_RUNNING,
        C.READY,
        "False",
        checked(None),
        BACK,
        says="checks are asked: 'budget'",
    ),
    Cause(
        R.CHECK_UNANSWERED,
        C.READY,
        "False",
        checked({"reason": "Unanswered", "message": "gate 'budget' got no answer in 3 tries"}),
        BACK,
        says="check 'budget' comes to no verdict: Unanswered: gate 'budget' got no answer in 3 tries",
    ),
    Cause(
        R.AWAITING_APPROVAL,
        C.READY,
        "False",
        judged(rate=0.0, gates=[], steps=MANUAL, analysis=SELDOM),
        BACK,
        says="set rollout.approve to chat-",
    ),
    Cause(
        R.CANARY_REJECTED,
        C.READY,
        "False",
        judged(manner=Manner(failing=0.5), seconds=30, analysis=OFTEN),
        BACK,
        says="errorRate is 50 % against 0 %",
    ),
    Cause(R.ROLLOUT_ABORTED, C.READY, "False", aborted, BACK, says="rollout.abort names chat-"),
)
