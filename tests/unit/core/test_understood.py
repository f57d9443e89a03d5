"""Routers of an older release are told no field that they would refuse the whole document for."""

from dataclasses import replace

import pytest

from pointsman.core import routing
from pointsman_router import config

ALL = config.LATER_FIELDS
PLAIN = config.RouterConfig(
    name="default",
    services=(
        config.Service(
            name="chat",
            model_names=("chat",),
            engine_model="chat",
            variants=(
                config.Variant("chat-1", config.Upstream(service="chat")),
                config.Variant("chat-2", config.Upstream(service="chat"), weight=0),
            ),
        ),
    ),
)


def _full() -> config.RouterConfig:
    (service,) = PLAIN.services
    stable, candidate = service.variants
    filled = replace(
        service,
        assignment=config.Assignment(config.AssignmentKey.CONVERSATION, "chat-2"),
        analysis=config.Analysis("chat-2/0", 50),
        variants=(replace(stable, start_seconds=40), replace(candidate, shadow=20)),
    )
    return replace(PLAIN, services=(filled,))


def _names(document: object) -> set[str]:
    if isinstance(document, dict):
        return set(document) | {name for value in document.values() for name in _names(value)}
    return {name for item in document for name in _names(item)} if isinstance(document, list) else set()


def test_a_router_of_this_release_is_told_everything() -> None:
    assert routing.understood(_full(), [ALL, (*ALL, "laterStill")]) == _full()
    assert routing.understood(_full(), []) == _full()


def test_a_router_of_the_first_release_is_told_none_of_it() -> None:
    assert routing.understood(_full(), [ALL, ()]) == PLAIN


@pytest.mark.parametrize("field", ALL)
def test_what_one_router_does_not_know_none_is_told(field: str) -> None:
    others = [name for name in ALL if name != field]
    told = routing.understood(_full(), [ALL, others])
    assert field in _names(config.dump(_full()))
    assert field not in _names(config.dump(told))
    assert set(others) <= _names(config.dump(told))
