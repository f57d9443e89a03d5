"""Who grants a Role must hold its verbs: what routers may do is within what the operator may."""

from __future__ import annotations

from pointsman.api.rbac import RBAC
from pointsman.core import router_children, routing
from pointsman_router.config import RouterConfig
from tests.unit.core.build import SETTINGS, router


def test_the_operator_holds_every_verb_it_grants_to_routers() -> None:
    made = router_children.build(router(), routing.pack(RouterConfig("default")), SETTINGS)
    granted = next(child for child in made if child["kind"] == "Role")["rules"]
    held = {(row.group, row.resource, verb) for row in RBAC for verb in row.verbs}
    wanted = {
        (group, resource, verb)
        for rule in granted
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert wanted <= held
