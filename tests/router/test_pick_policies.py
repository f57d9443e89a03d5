"""Choices that don't go by a prompt: policies, sessions, adapters, engines that are new or full."""

from collections import Counter
from typing import Any

import pytest

from pointsman_router.answering.pick import pick
from pointsman_router.config import ConfigError, parse
from tests.router.choosing import Chooser, chat, text
from tests.router.stack import configuration, service

ENGINES = ("a", "b", "c", "d")
SHORT = chat("hi")


def _counts(router: Chooser, times: int = 1000, **document: Any) -> Counter[str]:
    return Counter(router.choose(SHORT | document) for _ in range(times))


def test_round_robin_takes_one_after_the_other() -> None:
    router = Chooser(*ENGINES, routing={"picking": {"policy": "RoundRobin"}})
    chosen = [router.choose(chat(text("alike", 5))) for _ in range(12)]
    assert chosen[:4] == chosen[4:8] == chosen[8:]
    assert set(chosen) == set(ENGINES)


def test_least_loaded_ignores_prompts() -> None:
    router = Chooser(*ENGINES, routing={"picking": {"policy": "LeastLoaded"}})
    found = Counter(router.choose(chat(text("alike", 5))) for _ in range(1000))
    assert min(found.values()) > 150, found


@pytest.mark.parametrize("policy", ["PrefixAffinity", "LeastLoaded", "RoundRobin"])
def test_a_new_engine_gets_a_part_of_its_share(policy: str) -> None:
    router = Chooser(*ENGINES, routing={"picking": {"policy": policy}, "engines": {"slowStartSeconds": 10}})
    router.engines["b"].full_at = router.now + 8  # a fifth of its share
    for engine in router.engines.values():
        engine.in_flight = 10
    found = _counts(router)
    assert found["b"] < 120, found
    assert min(found[name] for name in "acd") > 200
    router.now += 8
    assert _counts(router)["b"] > 150


def test_a_new_engine_takes_known_prompts_up_to_its_share() -> None:
    router = Chooser("a", "b", routing={"engines": {"slowStartSeconds": 10}})
    first = router.choose(chat(text("a document", 8)))
    engine = router.engines[first]
    engine.full_at = router.now + 9
    assert router.choose(chat(text("a document", 8))) == first
    engine.in_flight = 1  # as good as ten
    assert router.choose(chat(text("a document", 8))) != first


FULL: dict[str, dict[str, Any]] = {
    "by prompt": chat(text("a document", 8)),
    "by load": SHORT,
    "by session": SHORT | {"user": "me"},
}


@pytest.mark.parametrize("document", FULL.values(), ids=FULL)
def test_full_engines_take_nothing(document: dict[str, Any]) -> None:
    routing = {"engines": {"maxRequests": 4}, "stickiness": {"conversation": True}}
    router = Chooser("a", "b", routing=routing)
    first = router.choose(document)
    router.engines[first].in_flight = 4
    (other,) = {"a", "b"} - {first}
    assert router.choose(document) == other
    router.engines[other].in_flight = 4
    prepared = router.prepared(document)
    assert prepared.service is not None
    found = pick(prepared.service, (), router.now, router.random, "", prepared.wish)
    assert found is not None
    assert found[1] is None, "the request is to wait"
    assert found[0].name == "v"


def test_it_waits_for_a_full_engine_rather_than_trouble_one_that_is_set_aside() -> None:
    router = Chooser("a", "b", routing={"engines": {"maxRequests": 4}})
    router.engines["a"].in_flight = 4
    router.engines["b"].aside_until = router.now + 5
    assert router.choose(SHORT) == router.choose(chat(text("a document", 8))) == ""


def test_an_engine_that_is_set_aside_is_better_than_none() -> None:
    router = Chooser("a", "b")
    for engine in router.engines.values():
        engine.aside_until = router.now + 5
    assert router.choose(SHORT) in ("a", "b")
    assert router.choose(chat(text("a document", 8))) in ("a", "b")


# Sessions.

BY_HEADER = {"stickiness": {"header": "X-Session"}}
BY_BODY = {"stickiness": {"conversation": True}}
SESSIONS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a header": (BY_HEADER, {}, "X-Session: {}"),
    "a header in other case": (BY_HEADER, {}, "x-session: {}"),
    "a conversation": (BY_BODY, {"conversation": "{}"}, ""),
    "a conversation's id": (BY_BODY, {"conversation": {"id": "{}"}}, ""),
    "a prompt cache key": (BY_BODY, {"prompt_cache_key": "{}", "user": "everyone"}, ""),
    "a user": (BY_BODY, {"user": "{}"}, ""),
}


def _named(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _named(member, name) for key, member in value.items()}
    return value.replace("{}", name)


@pytest.mark.parametrize(("routing", "members", "field"), SESSIONS.values(), ids=SESSIONS)
def test_a_session_stays(routing: dict[str, Any], members: dict[str, Any], field: str) -> None:
    router, other = Chooser(*ENGINES, routing=routing), Chooser(*ENGINES, routing=routing)
    found = Counter[str]()
    for session in map(str, range(100)):
        fields = [_named(field, session)] if field else []
        members_now = _named(members, session)
        chosen = {
            one.choose(chat(f"{session} asks {n}", text(f"{session}{n}", 3), "?") | members_now, *fields)
            for one in (router, other)
            for n in range(3)
        }
        assert len(chosen) == 1, "every router chooses alike, whatever is asked"
        found.update(chosen)
    assert min(found.values()) > 10, found


def test_a_session_moves_only_when_it_must() -> None:
    router = Chooser("a", "b", "c", routing=BY_BODY)
    session = SHORT | {"user": "me"}
    first = router.choose(session)
    router.has("a", "b", "c", "d", "e", "f")
    router.engines[first].in_flight = 100
    assert router.choose(session) == first, "neither for new engines nor for less busy ones"
    router.engines[first].aside_until = router.now + 5
    second = router.choose(session)
    assert second != first
    router.engines[first].aside_until = 0.0
    assert router.choose(session) == second, "nor back, for that would be another move"
    router.has(*({"a", "b", "c"} - {second}))
    assert router.choose(session) not in ("", second)


def test_requests_without_a_session_go_by_their_prompt() -> None:
    router = Chooser(*ENGINES, routing=BY_HEADER)
    assert len({router.choose(chat(text("alike", 5))) for _ in range(10)}) == 1


@pytest.mark.parametrize("header", ["Authorization", "X-Pointsman-Session", "Connection", "no header", "é"])
def test_a_header_that_is_not_passed_on_names_no_sessions(header: str) -> None:
    document = configuration(service("chat"))
    document["services"][0]["routing"] = {"stickiness": {"header": header}}
    with pytest.raises(ConfigError, match=r"services\[0\]\.routing\.stickiness\.header: .* is no header"):
        parse(document)


# Adapters.


def test_requests_for_an_adapter_keep_to_its_engine() -> None:
    router = Chooser(*ENGINES, adapters=[f"lora-{n}" for n in range(40)])
    found = Counter[str]()
    for n in range(40):
        chosen = {
            router.choose(request | {"model": f"lora-{n}"})
            for request in (SHORT, chat(text("long", 5)), chat(text("another", 9)))
        }
        assert len(chosen) == 1
        found.update(chosen)
    assert min(found.values()) >= 4, found


def test_an_adapter_spreads_as_far_as_its_load_needs() -> None:
    router = Chooser(*ENGINES, adapters=["lora"])
    for _ in range(12):
        router.engines[router.choose(SHORT | {"model": "lora"})].in_flight += 1
    loads = sorted(engine.in_flight for engine in router.engines.values())
    assert loads[0] == 0
    assert loads[-1] < 12


def test_a_prompt_known_with_one_adapter_is_unknown_with_another() -> None:
    router = Chooser(*ENGINES, adapters=["one", "two"])
    document = chat(text("a document", 8))
    chains = [router.prepared(document | {"model": model}).wish for model in ("chat", "one", "two")]
    hashes = [number for wish in chains if wish is not None for number in wish.chain]
    assert len(set(hashes)) == len(hashes) == 3 * 8
