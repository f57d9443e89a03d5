"""The contract's fields for experiments: who is given to which variant, what is copied, what is measured."""

from typing import Any

import pytest

from pointsman_router import config
from pointsman_router.config import Analysis, Assignment, AssignmentKey, ConfigError, parse
from tests.router.stack import configuration, service, variant

EXPERIMENT: dict[str, Any] = {
    "assignment": {"key": "conversation", "salt": "chat-2"},
    "analysis": {"window": "chat-2/0", "warmUpRequests": 50, "warmUpSeconds": 1.5},
}


def document(*variants: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return configuration(service("chat", *(variants or (variant("chat-1", "10.0.0.1:80"),))) | fields)


def read(*variants: dict[str, Any], **fields: Any) -> config.Service:
    return parse(document(*variants, **fields)).services[0]


def shadowed(name: str, percent: int, weight: int = 0) -> dict[str, Any]:
    return variant(name, "10.0.0.2:80", weight=weight) | {"shadow": percent}


def test_an_experiment_is_read_and_written() -> None:
    stable, candidate = variant("chat-1", "10.0.0.1:80"), shadowed("chat-2", 20)
    written = document(stable, candidate, **EXPERIMENT)
    read = parse(written)
    one = read.services[0]
    assert one.assignment == Assignment(AssignmentKey.CONVERSATION, "chat-2")
    assert one.analysis == Analysis("chat-2/0", 50, 1.5)
    assert one.variants[1].shadow == 20
    assert parse(config.dump(read)) == read


def test_without_an_experiment_nothing_is_written_of_one() -> None:
    written = config.dump(parse(document()))["services"][0]
    assert not {"assignment", "analysis"} & set(written)
    assert read().assignment.key is AssignmentKey.SESSION, "as routers did before there was a choice"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"assignment": {"key": "user"}},
            "assignment.key: 'user' is not known; known are none, session, conv",
        ),
        ({"assignment": {"salt": "x" * 257}}, "assignment.salt: longer than 256 characters"),
        ({"assignment": {"sticky": True}}, "assignment.sticky: unknown field"),
        ({"analysis": {"window": "x" * 257}}, "analysis.window: longer than 256 characters"),
        ({"analysis": {"warmUpRequests": -1}}, "analysis.warmUpRequests: -1 is out of bounds"),
        ({"analysis": {"warmUpRequests": 1.5}}, "analysis.warmUpRequests: expected int"),
        ({"analysis": {"warmUpSeconds": 3601}}, "analysis.warmUpSeconds: 3601.0 is out of bounds"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(document(**fields))
    assert words in str(caught.value)
    assert str(caught.value).startswith("services[0].")


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        ((shadowed("a", 101), shadowed("b", 0, 100)), "variants[0].shadow: 101 is out of bounds"),
        ((shadowed("a", 5, 100),), "variants[0].shadow: only a variant of weight 0 takes copies"),
        ((shadowed("a", 5), shadowed("b", 5)), "variants[1].shadow: only one variant takes copies"),
    ],
)
def test_copies_go_to_one_variant_that_has_no_weight(variants: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(document(*variants))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "other",
    [
        {"assignment": {"key": "none", "salt": "chat-2"}},
        {"assignment": {"key": "conversation", "salt": "chat-3"}},
        {"analysis": EXPERIMENT["analysis"] | {"window": "chat-2/1"}},
        {"analysis": EXPERIMENT["analysis"] | {"warmUpRequests": 51}},
    ],
)
def test_an_experiment_is_part_of_what_is_acknowledged(other: dict[str, Any]) -> None:
    assert config.service_hash(read(**EXPERIMENT)) != config.service_hash(read(**EXPERIMENT | other))


def test_copies_are_part_of_what_is_acknowledged() -> None:
    stable = variant("chat-1", "10.0.0.1:80")
    hashes = {config.service_hash(read(stable, shadowed("chat-2", percent))) for percent in (0, 5, 20)}
    assert len(hashes) == 3
