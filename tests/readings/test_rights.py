"""The table of permissions is what the operator makes use of: nothing is missing, and nothing is unused.

Made use of is what its passes ask for in every situation and in every scenario that faults are tried on, what
an older release left for it to remove, what its process asks of a real API server (by that server's own log),
and what it grants to routers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster import ControlPlane, control_plane
from pointsman.api import names
from pointsman.api.rbac import DISCOVERY, RBAC, Permission
from pointsman.core.inventory import ROUTER_KINDS, SERVICE_KINDS
from pointsman.engine.reconcile import Reconciler
from pointsman.engine.triggers import OWN_KINDS
from pointsman.kube.protocol import Kube
from pointsman.kube.store import address_of
from tests.conformance.conftest import install_kinds
from tests.conformance.stage import NAMESPACE as NAMESPACES
from tests.conformance.stage import obj
from tests.conformance.stage import owner as owned_by
from tests.conformance.test_operator import SPEC, as_itself, client, start, until
from tests.readings.recording import Recorded, Right
from tests.readings.situations import SITUATIONS
from tests.readings.stage import Stage, enact
from tests.simulation.cluster import NAMESPACE, SETTINGS
from tests.simulation.faults.runs import Runs
from tests.simulation.faults.scenarios import SCENARIOS
from tests.simulation.faults.site import Site
from tests.simulation.stories import CHAT, edited, serving

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
"""


def of_table(rows: Sequence[Permission]) -> set[Right]:
    return {Right(row.group, row.resource, verb) for row in rows for verb in row.verbs}


async def what_an_older_release_left(stage: Stage) -> None:
    """One object of every kind that was ever made, which nobody wants any more."""
    await stage.apply("LLMRouter", "front", {})
    await serving(stage, edited(routerRef={"name": "front"}))
    for kind in SERVICE_KINDS:
        if kind not in ("ControllerRevision", "Deployment"):  # those are revisions, with a life of their own
            _leave(stage, kind, stage.find("LLMService", "chat"), {names.LABEL_SERVICE: "chat"})
    for kind in ROUTER_KINDS:
        _leave(stage, kind, stage.find("LLMRouter", "front"), {names.LABEL_ROUTER: "front"})
    await stage.rounds(10)
    assert [o["metadata"]["name"] for o in _all(stage) if o["metadata"]["name"].endswith("-older")] == []


async def more_changes_than_are_remembered(stage: Stage) -> None:
    for length in range(1024, 1034):
        await stage.apply("LLMService", "chat", edited(engine={"maxModelLen": length}))
        await stage.settle()
    assert len(stage.all("ControllerRevision")) < 10


def _all(stage: Stage) -> Iterator[Any]:
    for kind in {*SERVICE_KINDS, *ROUTER_KINDS}:
        yield from stage.all(kind)


def _leave(stage: Stage, kind: str, owner: Any, labels: dict[str, str]) -> None:
    resource = names.RESOURCES[kind]
    name = f"{owner['metadata']['name']}-older"
    labels = {names.LABEL_MANAGED_BY: names.MANAGED_BY, **labels}
    left = obj(resource, NAMESPACE, name, labels=labels, owners=[owned_by(owner)])
    stage.kube.store.insert(address_of(resource, NAMESPACE, name), left, {})


async def a_model_found_out_about_and_deleted(stage: Stage) -> None:
    """A resolve Job comes and goes, and so does all the rest."""
    await serving(stage, {"model": {"source": {"uri": "hf://org/name"}}})
    await stage.delete("LLMService", "chat")
    await stage.rounds(10)


async def a_look_at_the_nodes(stage: Stage) -> None:
    """With capacity discovery, a pod that finds no place."""
    stage.restart(replace(SETTINGS, capacity_discovery=True))
    stage.accelerators = 0
    await stage.apply("LLMService", "chat", edited(hardware={"accelerator": GPU}))
    await stage.rounds(5)


GPU = {"resource": "nvidia.com/gpu", "count": 1}


async def taken(*stories: Any) -> set[Right]:
    rights: set[Right] = set()
    for story in stories:
        stage = Stage()
        await story(stage)
        rights |= stage.rights
    return rights


def of_scenarios() -> set[Right]:
    """What the operator's processes ask for in every scenario that faults are tried on."""
    rights: set[Right] = set()
    operator = Site.operator

    def recorded(site: Site, kube: Kube, *arguments: Any) -> Reconciler:
        return operator(site, Recorded(kube, rights, {}), *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Site, "operator", recorded)
        runs = Runs()
        for scenario in SCENARIOS:
            runs.reference(scenario)
    return rights


@pytest.fixture(scope="module")
def played() -> set[Right]:
    """What passes ask for on the simulated cluster."""

    async def play() -> set[Right]:
        scenes = [await enact(situation) for situation in SITUATIONS]
        rest = await taken(
            what_an_older_release_left,
            more_changes_than_are_remembered,
            a_model_found_out_about_and_deleted,
        )
        return rest.union(*(scene.rights for scene in scenes))

    return asyncio.run(play()) | of_scenarios()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="module")
def server(log: Path) -> Iterator[ControlPlane]:
    """A server that writes down who asks for what, and lets nobody block an owner's deletion unasked."""
    policy = log.with_name("policy.yaml")
    policy.write_text(POLICY)
    flags = (
        f"--audit-policy-file={policy}",
        f"--audit-log-path={log}",
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
    )
    with control_plane(server_flags=flags) as plane:
        yield plane


@pytest.fixture(scope="module")
def audited(server: ControlPlane, log: Path, tmp_path_factory: pytest.TempPathFactory) -> set[Right]:
    """What the process asks a real server for, with no more rights than the table's."""
    asyncio.run(_live(server, tmp_path_factory.mktemp("operator")))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    ours = [line for line in lines if line["user"]["username"].endswith(":pointsman") and "objectRef" in line]
    refused = [line for line in ours if line.get("responseStatus", {}).get("code") == 403]
    assert refused == [], "the table lacks something"
    return {_right(line["objectRef"], line["verb"]) for line in ours}


def _right(target: dict[str, str], verb: str) -> Right:
    resource, below = target["resource"], target.get("subresource")
    return Right(target.get("apiGroup", ""), f"{resource}/{below}" if below else resource, verb)


async def _live(server: ControlPlane, folder: Path) -> None:
    """Services come, share routers and go."""
    ns = "team-a"
    async with client(server) as kube:
        await install_kinds(kube)
        await kube.create(obj(NAMESPACES, None, ns))
        mine = as_itself(server, folder, ns)
        process = start(server, folder, POINTSMAN_WATCH_NAMESPACES=ns, POINTSMAN_KUBECONFIG=str(mine))
        try:
            await kube.create(obj(names.LLMMODEL, ns, "small", spec=SPEC["model"]))
            await kube.create(obj(names.LLMROUTER, ns, "front", spec={}))
            for name, spec in (("chat", CHAT), ("mail", edited(routerRef={"name": "front"}))):
                await kube.create(obj(names.LLMSERVICE, ns, name, spec=spec))

            async def made() -> bool:
                return len(await kube.list(names.DEPLOYMENT, ns)) == 4

            async def gone() -> bool:
                left = await kube.list(names.LLMSERVICE, ns)
                return [one["metadata"]["name"] for one in left] == ["mail"]

            await until(made, 40)
            chat = await kube.get(names.LLMSERVICE, ns, "chat")
            await kube.delete(names.LLMSERVICE, ns, "chat", uid=chat["metadata"]["uid"])
            await until(gone, 40)
        finally:
            process.popen.terminate()
            process.popen.wait(20)


@pytest.mark.apiserver
def test_every_right_is_made_use_of_and_none_is_missing(played: set[Right], audited: set[Right]) -> None:
    table, used = of_table(RBAC), played | audited
    assert sorted(used - table) == [], "missing from the table"
    assert sorted(table - used) == [], "granted for nothing"


@pytest.mark.apiserver
def test_the_server_saw_nothing_that_recording_a_pass_does_not_show(
    played: set[Right], audited: set[Right]
) -> None:
    assert {right for right in audited - played if right.verb != "watch"} <= {
        Right(resource.group, resource.plural, "list") for resource in OWN_KINDS
    }, "what the watches and the hourly look at everything list"


async def test_capacity_discovery_takes_what_its_table_says() -> None:
    used = await taken(a_look_at_the_nodes)
    assert used - of_table(RBAC) == of_table(DISCOVERY) - of_table(RBAC)
    assert used >= of_table(DISCOVERY)
