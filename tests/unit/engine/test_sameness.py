"""What of an object is the same as what was applied to it, and what isn't."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pointsman.api import names
from pointsman.api.names import ANNOTATION_APPLIED
from pointsman.engine import sameness

INTENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "namespace": "ns", "labels": {"a": "b"}},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "args": ["--port=1"],
                        "env": [{"name": "A", "value": "1"}],
                        "resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}},
                    }
                ]
            }
        },
    },
}


def stored(**changes: Any) -> dict[str, Any]:
    """The object as a server would have it after the apply, with `changes` (path__to__field=value)."""
    obj: dict[str, Any] = copy.deepcopy(dict(sameness.marked(INTENT)))
    obj["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    obj["status"] = {"replicas": 1}
    container = obj["spec"]["template"]["spec"]["containers"][0]
    container |= {"terminationMessagePath": "/dev/termination-log"}
    container["resources"]["limits"]["cpu"] = "1"
    for path, value in changes.items():
        *way, last = path.split("__")
        place: Any = obj
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        place[int(last) if last.isdigit() else last] = value
    return obj


CONTAINER = "spec__template__spec__containers__0"
CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "what the server adds and how it writes a number": (stored(), True),
    "somebody's label beside ours": (stored(metadata__labels__theirs="x"), True),
    "a controller's annotation": (stored(metadata__annotations__theirs="x"), True),
    "a label with another value": (stored(metadata__labels__a="c"), False),
    "no digest": (stored(metadata__annotations={}), False),
    "another apply's digest": (stored(metadata__annotations={ANNOTATION_APPLIED: "00"}), False),
    "an argument more": (stored(**{f"{CONTAINER}__args": ["--port=1", "--more"]}), False),
    "another argument": (stored(**{f"{CONTAINER}__args__0": "--port=2"}), False),
    "a variable in front of ours": (stored(**{f"{CONTAINER}__env": [{"name": "B"}, {"name": "A"}]}), False),
    "a container beside ours": (
        stored(spec__template__spec__containers=[{"name": "x"}, {"name": "y"}]),
        False,
    ),
    "another limit": (stored(**{f"{CONTAINER}__resources__limits__memory": "2Gi"}), False),
    "a limit as another number": (stored(**{f"{CONTAINER}__resources__limits__memory": "1024Mi"}), True),
    "a limit that is no number": (stored(**{f"{CONTAINER}__resources__limits__memory": "much"}), False),
    "a selector with one label more": (stored(spec__selector__matchLabels={"a": "b", "c": "d"}), False),
    "a field that was taken away": (stored(spec__template__spec={}), False),
}


@pytest.mark.parametrize(("there", "same"), CASES.values(), ids=CASES.keys())
def test_an_object_with(there: dict[str, Any], same: bool) -> None:
    assert sameness.holds(there, INTENT) is same


def test_what_was_applied_before_and_is_not_any_more_has_to_go() -> None:
    before = {**INTENT, "metadata": {**INTENT["metadata"], "annotations": {"users": "wish"}}}
    assert not sameness.holds(sameness.marked(before), INTENT)


def test_a_router_that_people_may_take_over_bears_nothing_of_ours() -> None:
    router = {"kind": "LLMRouter", "metadata": {"name": "default"}}
    assert sameness.marked(router) == router
    assert sameness.holds({**router, "spec": {"replicas": 3}}, router)


def test_a_router_that_still_bears_our_labels_has_yet_to_be_released() -> None:
    router = {"kind": "LLMRouter", "metadata": {"name": "default"}}
    ours = {names.LABEL_MANAGED_BY: names.MANAGED_BY, names.LABEL_ON_DEMAND: "true"}
    on_demand = {**router, "metadata": {"name": "default", "labels": ours}}
    assert sameness.holds({**on_demand, "spec": {}}, on_demand)
    assert not sameness.holds({**on_demand, "spec": {"replicas": 3}}, router)
    theirs = {**router, "metadata": {"name": "default", "labels": {"team": "a"}}}
    assert sameness.holds(theirs, router)
