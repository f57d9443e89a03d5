"""The reconcile bench's own parts: its stand-ins speak what the operator reads, its floor is the operator's
work, and its verdict follows from its figures."""

from __future__ import annotations

import json
import math
import secrets
from collections import Counter
from dataclasses import replace

import pytest

from bench.reconcile import floor, room
from bench.reconcile.__main__ import read_sizes
from bench.reconcile.api import Api
from bench.reconcile.children import Template, recorded
from bench.reconcile.floor import Floor
from bench.reconcile.observer import Observer
from bench.reconcile.plane import written
from bench.reconcile.report import conclude_rows
from bench.reconcile.row import Row, Size, Spread
from bench.reconcile.standin import RouterPods, StandIn
from e2e.cluster import ControlPlane
from pointsman.api import names
from pointsman.core import observed
from pointsman.kube import config as kube_config
from pointsman.kube.client import AioKube
from pointsman_router import config
from tests.conformance.conftest import install_kinds
from tests.conformance.stage import CRD, NAMESPACE, obj


@pytest.fixture(scope="module")
def template() -> Template:
    return recorded()


def test_the_floor_is_every_child_that_the_operator_makes(template: Template) -> None:
    made = {
        "service": [part.resource.kind for part in template.service],
        "router": [part.resource.kind for part in template.router],
    }
    assert sorted(made["service"]) == [
        "ControllerRevision",
        "Deployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
    ]
    assert len(made["router"]) == 9


@pytest.mark.apiserver
async def test_the_bare_client_applies_them_and_the_bench_sees_them(
    apiserver: ControlPlane, template: Template
) -> None:
    ns = f"bench-{secrets.token_hex(4)}"
    kube = AioKube(await kube_config.load(str(apiserver.kubeconfig)), resources=(NAMESPACE, CRD))
    try:
        await install_kinds(kube)
        await kube.create(obj(NAMESPACE, None, ns))
    finally:
        await kube.close()
    services = [(ns, "one"), (ns, "two")]
    async with Api(apiserver.url, apiserver.pki) as api:
        eyes, client = Observer(api, template.kinds), Floor(api, template)
        await eyes.start()
        await floor.create(api, eyes, services, client.children)
        seen = await eyes.until("seen", lambda: (sum(eyes.applied(at) < math.inf for at in services), 2), 30)
        service = await api.merge(names.LLMSERVICE, *services[0], {"spec": {"replicas": 2}})
        await client.scale(services[0], service, 2)
        life = eyes.lives[services[0]]
        scaled = await eyes.until("scaled", lambda: (int(2 in life.replicas), 1), 30)
        await eyes.stop()
    assert (seen, scaled) == ("", "")


def standin() -> StandIn:
    """One router pod at 10.244.0.1 that runs one service, whose engine is ready."""
    upstream = config.Upstream(service="chat-engine", pod_prefix="chat-a-", port=8000, status_port=8001)
    service = config.Service(
        "chat", ("chat",), "chat", (config.Variant("chat-a", upstream, 100),), generation=3
    )
    running = config.RouterConfig("default", services=(service,))
    found = StandIn(api=None)  # type: ignore[arg-type]  # asks nobody
    found.routers["team-00", "default"] = RouterPods(running, {"chat": config.service_hash(service)})
    found.at["10.244.0.1"] = ("team-00", "default")
    found.ready["team-00", "chat-a"] = ["10.244.0.9"]
    return found


def test_stand_ins_tell_what_the_operator_reads() -> None:
    said = standin().signals("10.244.0.1")
    told = observed.parse_signals({"address": "10.244.0.1:8081", "reachable": True, "body": said or {}})
    running = standin().routers["team-00", "default"].running
    assert told.config == config.config_hash(running)
    assert told.services["chat"].hash == config.service_hash(running.services[0])
    assert told.services["chat"].variants["chat-a"].ready == 1
    answer = standin().probe("10.244.0.1", "chat")
    probe = observed.parse_probe({"address": "10.244.0.1:8081", "reachable": True, "body": answer})
    assert (probe.ok, probe.generation, probe.variant) == (True, 3, "chat-a")
    assert standin().models("default-router.team-00.svc") == ["chat"]
    assert standin().signals("10.244.0.2") is None


def test_rows_are_read_as_services_over_namespaces() -> None:
    assert read_sizes("1,50,200/1,1000") == [Size(1, 1), Size(50, 50), Size(200, 1), Size(1000, 50)]
    assert {namespace for namespace, _ in Size(200, 50).names()} == {room.namespace(n) for n in range(50)}


def test_only_writes_count_as_written() -> None:
    before = Counter({("list", "Service"): 1, ("apply", "Service"): 2})
    after = Counter({("list", "Service"): 9, ("apply", "Service"): 3})
    assert written(before, after) == Counter({("apply", "Service"): 1})


def measured(**changes: object) -> Row:
    """A row in which every target is met, but for `changes`."""
    good = Row(
        Size(200, 50),
        floor=Spread(1.0, 2.0),
        applied=Spread(1.5, 3.0),
        ready=Spread(2.0, 4.0),
        requests=Counter({("apply", "Service"): 400}),
        changes={"create": (Spread(0.02, 0.06), Spread(0.01, 0.03))},
        rss_mib=100.0,
        restarted_rss_mib=110.0,
        watcher_rss_mib=100.0,
    )
    return replace(good, **changes)  # type: ignore[arg-type]


CASES: dict[str, tuple[Row, int]] = {
    "every target met": (measured(), 0),
    "a change that takes long": (measured(changes={"scale": (Spread(0.02, 0.1), Spread(0.01, 0.03))}), 1),
    "a write while idle": (measured(idle_writes=Counter({("apply", "Service"): 1})), 1),
    "a write after a restart": (measured(restart_writes=Counter({("apply", "Service"): 1})), 1),
    "more memory than a bare watcher needs": (measured(rss_mib=131.0), 1),
    "services that never came": (measured(problems=["200: Ready: 199 of 200 after 300 s"]), 1),
}


@pytest.mark.parametrize(("row", "status"), CASES.values(), ids=CASES.keys())
def test_the_verdict_over(row: Row, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude_rows([row]) == status
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["bench"], last["passed"]) == ("reconcile", status == 0)
    assert last["rows"][0]["requests_per_service"] == {"apply Service": 2.0}
