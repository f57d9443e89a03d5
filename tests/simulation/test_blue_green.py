"""Stories of switches: all requests at once, while what served before stays ready."""

from __future__ import annotations

from tests.simulation.cluster import Cluster
from tests.simulation.judged import GREEN, begun, changed, lasting, replicas, until
from tests.simulation.measuring import Manner
from tests.simulation.stories import engines, rollout


async def test_all_at_once_bakes_beside_the_old_one_and_then_lets_it_go(cluster: Cluster) -> None:
    old, new = await begun(cluster, GREEN)
    assert await lasting(cluster, 60) == ["Capacity 0: 0", "Canary 0: 0"]
    seen = await lasting(cluster, 60)
    assert seen[-1] == "Baking 0: 100"
    assert (replicas(cluster, old), replicas(cluster, new)) == (4, 4)
    assert (await lasting(cluster, 120))[-1] == "Steady -: -"
    assert engines(cluster) == [new]


async def test_a_switch_that_turns_out_bad_goes_back_in_one_pass_to_pods_that_never_left(
    cluster: Cluster,
) -> None:
    old, new = await begun(cluster, GREEN)
    cluster.routers.measuring.manners[new] = Manner(slower=3.0)
    await until(cluster, "Baking")
    assert cluster.ready_pods(old) == 4
    await lasting(cluster, 130)
    assert rollout(cluster)["traffic"] == [{"revision": old, "weight": 100}]
    assert cluster.condition("chat", "Ready")[1] == "CanaryRejected"


async def test_a_switch_waits_for_a_word_where_one_is_asked(cluster: Cluster) -> None:
    _, new = await begun(cluster, GREEN, approval="Manual")
    await lasting(cluster, 300)
    assert cluster.condition("chat", "Ready")[1] == "AwaitingApproval"
    await cluster.apply("LLMService", "chat", changed(GREEN, approval="Manual", approve=new))
    await lasting(cluster, 30)
    assert rollout(cluster)["step"] == "Baking"
