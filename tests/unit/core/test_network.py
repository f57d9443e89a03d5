"""Who may reach whom: our NetworkPolicies evaluated as a network plugin would, in one table.

The node that e2e runs on enforces none, so their meaning is tested here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from pointsman.api import names
from pointsman.core import router_children, routing, service_children, trial_children
from pointsman.core.trial import Trial
from pointsman_router.config import RouterConfig
from tests.unit.core.build import SETTINGS, router, service


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod, or an address outside."""

    labels: Mapping[str, str]
    namespace: str = "team-a"
    ip: str = "10.0.0.1"
    pod: bool = True


ENGINE = End({names.LABEL_SERVICE: "chat", names.LABEL_ROLE: "engine", names.LABEL_REVISION: "chat-1"})
RESOLVE = End({names.LABEL_SERVICE: "chat", names.LABEL_ROLE: "resolve"})
TRIAL = End({names.LABEL_SERVICE: "chat", names.LABEL_ROLE: "trial"})
ROUTER = End(router_children.pod_labels("default"))
OTHER_ROUTER = End(router_children.pod_labels("other"))
OPERATOR = End({names.LABEL_NAME: "pointsman", names.LABEL_COMPONENT: "operator"}, "pointsman-system")
IMPOSTOR = End(dict(OPERATOR.labels), "team-b")
CLIENT = End({"app": "client"})
STRANGER = End({"app": "client"}, "team-b")
OFFICE = End({}, "", "192.0.2.7", pod=False)
WORLD = End({}, "", "203.0.113.9", pod=False)


def policies(front: Any = None, hub: bool = False) -> list[Mapping[str, Any]]:
    uri = "hf://org/name" if hub else "file:///models/tiny"
    chat = service(model={"source": {"uri": uri}})
    assert chat.spec.model is not None
    made = router_children.build(front or router(), routing.pack(RouterConfig("default")), SETTINGS)
    return [
        service_children.network_policy(chat.metadata, chat.spec.model.source, "default", SETTINGS),
        *(m for m in made if m["kind"] == "NetworkPolicy"),
    ]


def with_trial() -> list[Mapping[str, Any]]:
    trial = Trial(service="chat", router="default", candidate="chat-1", model="chat")
    made = trial_children.build(service().metadata, trial, SETTINGS)
    return [*policies(), *(m for m in made if m["kind"] == "NetworkPolicy")]


def with_checks() -> list[Mapping[str, Any]]:
    made = trial_children.network_policy(service().metadata, "chat-1", "default", anywhere=True)
    return [*policies(), made]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items())


def matches(peer: Mapping[str, Any], end: End, home: str) -> bool:
    if "ipBlock" in peer:
        return ip_address(end.ip) in ip_network(peer["ipBlock"]["cidr"])
    if not end.pod:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": end.namespace}):
            return False
    elif end.namespace != home:
        return False
    return selects(peer.get("podSelector") or {}, end.labels)


def permitted(made: list[Mapping[str, Any]], subject: End, other: End, port: int, way: str) -> bool:
    mine = [
        p
        for p in made
        if subject.pod and subject.namespace == "team-a" and selects(p["spec"]["podSelector"], subject.labels)
    ]
    if not mine:
        return True
    peers = "from" if way == "ingress" else "to"
    return any(
        (peers not in rule or any(matches(peer, other, "team-a") for peer in rule[peers]))
        and ("ports" not in rule or any(entry["port"] == port for entry in rule["ports"]))
        for p in mine
        for rule in p["spec"][way]
    )


def reaches(made: list[Mapping[str, Any]], source: End, target: End, port: int) -> bool:
    """Whether both ends' policies allow a connection."""
    return permitted(made, source, target, port, "egress") and permitted(
        made, target, source, port, "ingress"
    )


LOCKED = router(allowedPeers=[{"podLabels": {"app": "vip"}}, {"cidr": "192.0.2.0/24"}])

TABLE = [
    ("its router reaches an engine's API", policies(), ROUTER, ENGINE, 8000, True),
    ("its router reaches an engine's status", policies(), ROUTER, ENGINE, 8001, True),
    ("another router does not", policies(), OTHER_ROUTER, ENGINE, 8000, False),
    ("a client in the namespace does not reach an engine", policies(), CLIENT, ENGINE, 8000, False),
    ("nor its status, through which it could be looked at", policies(), CLIENT, ENGINE, 8001, False),
    ("an engine does not reach another engine", policies(), ENGINE, ENGINE, 8000, False),
    ("an engine with its weights aboard does not reach the world", policies(), ENGINE, WORLD, 443, False),
    ("an engine that fetches does, by HTTPS", policies(hub=True), ENGINE, WORLD, 443, True),
    ("and by nothing else", policies(hub=True), ENGINE, WORLD, 22, False),
    ("the resolve Job reaches the hub", policies(hub=True), RESOLVE, WORLD, 443, True),
    ("every pod of ours asks DNS", policies(), ENGINE, WORLD, 53, True),
    ("a client in the namespace reaches the router", policies(), CLIENT, ROUTER, 8080, True),
    ("one of another namespace does not", policies(), STRANGER, ROUTER, 8080, False),
    ("a client does not reach the admin port", policies(), CLIENT, ROUTER, 8081, False),
    ("the operator reaches the admin port", policies(), OPERATOR, ROUTER, 8081, True),
    ("and the way in, to prove it", policies(), OPERATOR, ROUTER, 8080, True),
    ("who only bears the operator's labels does not", policies(), IMPOSTOR, ROUTER, 8081, False),
    ("the router reaches the API server", policies(), ROUTER, WORLD, 6443, True),
    ("and nothing else outside", policies(), ROUTER, WORLD, 80, False),
    ("a trial asks its router", with_trial(), TRIAL, ROUTER, 8081, True),
    ("also for embeddings, through the way in", with_trial(), TRIAL, ROUTER, 8080, True),
    ("but no other router", with_trial(), TRIAL, OTHER_ROUTER, 8081, False),
    ("nor an engine", with_trial(), TRIAL, ENGINE, 8000, False),
    ("nor the world", with_trial(), TRIAL, WORLD, 443, False),
    ("unless it's a check, whose webhook may be anywhere", with_checks(), TRIAL, WORLD, 443, True),
    ("a check asks its router, too", with_checks(), TRIAL, ROUTER, 8081, True),
    ("but no engine by itself", with_checks(), TRIAL, ENGINE, 8000, False),
    ("an engine reaches no router by a trial's leave", with_trial(), ENGINE, ROUTER, 8081, False),
    ("over TLS a client reaches the same port", policies(router(tls={})), CLIENT, ROUTER, 8080, True),
    ("and so does the operator, to prove the way in", policies(router(tls={})), OPERATOR, ROUTER, 8080, True),
    (
        "and nobody reaches the Service's own port on a pod",
        policies(router(tls={})),
        CLIENT,
        ROUTER,
        443,
        False,
    ),
    ("declared peers replace the namespace", policies(LOCKED), CLIENT, ROUTER, 8080, False),
    ("a declared pod is admitted", policies(LOCKED), End({"app": "vip"}), ROUTER, 8080, True),
    ("a declared range is admitted", policies(LOCKED), OFFICE, ROUTER, 8080, True),
    ("what lies outside the range is not", policies(LOCKED), WORLD, ROUTER, 8080, False),
]


@pytest.mark.parametrize(
    ("made", "source", "target", "port", "expected"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_reach(made: list[Mapping[str, Any]], source: End, target: End, port: int, expected: bool) -> None:
    assert reaches(made, source, target, port) is expected
