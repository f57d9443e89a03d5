"""Routers of an older release are told no field that they would refuse the whole document for."""

from dataclasses import replace

import pytest

from pointsman.core import routing
from pointsman_router import config

ALL = config.LATER_FIELDS
DROPPED = [name for name in ALL if name != "prompts"]
"""Fields that are left out for routers that don't know them."""
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
    return replace(PLAIN, services=(filled,), drain_seconds=900.0)


def _names(document: object) -> set[str]:
    if isinstance(document, dict):
        return set(document) | {name for value in document.values() for name in _names(value)}
    return {name for item in document for name in _names(item)} if isinstance(document, list) else set()


def test_a_router_of_this_release_is_told_everything() -> None:
    assert routing.understood(_full(), [ALL, (*ALL, "laterStill")]) == _full()
    assert routing.understood(_full(), []) == _full()


def test_a_router_of_the_first_release_is_told_none_of_it() -> None:
    assert routing.understood(_full(), [ALL, ()]) == PLAIN


@pytest.mark.parametrize("field", DROPPED)
def test_what_one_router_does_not_know_none_is_told(field: str) -> None:
    others = [name for name in DROPPED if name != field]
    told = routing.understood(_full(), [ALL, [*others, "prompts"]])
    assert field in _names(config.dump(_full()))
    assert field not in _names(config.dump(told))
    assert set(others) <= _names(config.dump(told))


PROMPT = config.Prompt("support-v1.12345678", (config.PromptMessage("system", "Be kind."),))


def _prompted() -> config.RouterConfig:
    (service,) = PLAIN.services
    variants = tuple(replace(variant, prompt=PROMPT.name) for variant in service.variants)
    other = replace(service, name="mail", model_names=("mail",))
    return replace(PLAIN, services=(replace(service, variants=variants, prompts=(PROMPT,)), other))


def test_a_service_with_a_prompt_stays_as_it_was_for_routers_that_know_none() -> None:
    before = replace(PLAIN.services[0], generation=7)
    told = routing.understood(_prompted(), [ALL, DROPPED], lambda: {"chat": before})
    assert told.services == (before, _prompted().services[1])
    assert routing.understood(_prompted(), [ALL, ALL], dict) == _prompted()


def test_a_service_that_such_routers_never_ran_is_not_told_to_them() -> None:
    only_mail = (_prompted().services[1],)
    for running in ({}, {"chat": _prompted().services[0]}):
        assert routing.understood(_prompted(), [DROPPED], lambda: running).services == only_mail  # noqa: B023
