"""Requests go where their beginning is known, as far as load allows."""

from collections import Counter

import pytest

from tests.router.choosing import BLOCK, Chooser, chat, text

DOCUMENT = text("The document", 8)


def test_what_begins_alike_goes_to_one_engine() -> None:
    router = Chooser("a", "b", "c", "d")
    assert len({router.choose(chat(f"question {n}?", system=DOCUMENT)) for n in range(50)}) == 1


def test_documents_spread_over_the_engines() -> None:
    router = Chooser("a", "b", "c", "d")
    found = Counter(router.choose(chat("what?", system=text(f"Document {n}", 8))) for n in range(400))
    assert min(found.values()) > 60, found


def test_documents_behind_one_preamble_spread_over_the_engines() -> None:
    router = Chooser("a", "b")
    preamble = text("You answer briefly", 3)
    found = Counter(
        router.choose(chat("what?", system=preamble + text(f"Document {n}", 30))) for n in range(100)
    )
    assert min(found.values()) > 30, found


def test_conversations_under_one_system_prompt_spread_and_each_stays() -> None:
    router = Chooser("a", "b")
    system = text("You are helpful", 4)
    begun = {n: chat(text(f"conversation {n}", 2), system=system) for n in range(40)}
    where = {n: router.choose(request) for n, request in begun.items()}
    assert min(Counter(where.values()).values()) > 10, where
    for n, request in begun.items():
        request["messages"] += chat(text("answer", 1), text(f"more {n}", 1))["messages"]
        assert router.choose(request) == where[n]


def test_a_conversation_stays_with_its_engine_however_it_grows() -> None:
    router = Chooser("a", "b", "c", "d")
    for name in range(20):
        turns = [text(f"conversation {name}", 1.5)]
        first = router.choose(chat(*turns))
        for size in (0.1, 0.1, 3, 1, 20, 0.5):  # a pasted document among them
            turns += [text("answer", size), text(f"next {len(turns)}", size)]
            assert router.choose(chat(*turns)) == first, (name, len(turns))


def test_routers_agree_on_what_neither_has_seen() -> None:
    one, other = Chooser("a", "b", "c", "d"), Chooser("d", "c", "b", "a")
    for name in range(200):
        request = chat("what?", system=text(f"Document {name}", 2 + name % 20))
        assert one.choose(request) == other.choose(request)


def test_routers_agree_on_a_conversation_that_another_router_has_begun() -> None:
    agreed = 0
    for name in range(200):
        one, other = Chooser("a", "b", "c", "d"), Chooser("a", "b", "c", "d")
        begin = text(f"conversation {name}", 8)
        agreed += one.choose(chat(begin)) == other.choose(chat(begin, text("answer", 1), "and then?"))
    assert agreed == 200


def test_an_overloaded_engine_is_passed_over_and_the_next_one_remembered_too() -> None:
    router = Chooser("a", "b", "c", "d")
    first = router.choose(chat("one?", system=DOCUMENT))
    router.engines[first].in_flight = 10
    second = router.choose(chat("two?", system=DOCUMENT))
    assert second != first
    router.engines[first].in_flight = 0
    found = Counter(router.choose(chat(text(f"question {n}", 2), system=DOCUMENT)) for n in range(100))
    assert set(found) == {first, second}, "both have the document now"
    assert min(found.values()) > 20, found


@pytest.mark.parametrize(
    ("in_flight", "stays"),
    [
        pytest.param((1, 0), True, id="an idle service isn't spread"),
        pytest.param((7, 1), True, id="up to half above the mean, and one more"),
        pytest.param((8, 1), False, id="beyond that, the next one"),
        pytest.param((40, 30), True, id="a busy one is fine where all are"),
    ],
)
def test_load_bounds_affinity(in_flight: tuple[int, int], stays: bool) -> None:
    router = Chooser("a", "b")
    first = router.choose(chat("one?", system=DOCUMENT))
    (other,) = {"a", "b"} - {first}
    router.engines[first].in_flight, router.engines[other].in_flight = in_flight
    assert (router.choose(chat("two?", system=DOCUMENT)) == first) is stays


def test_the_bound_on_load_is_a_setting() -> None:
    router = Chooser("a", "b", routing={"picking": {"loadPercent": 300}})
    first = router.choose(chat("one?", system=DOCUMENT))
    router.engines[first].in_flight = 10
    assert router.choose(chat("two?", system=DOCUMENT)) == first


def test_where_the_longest_beginning_is_busy_a_shorter_one_counts() -> None:
    router = Chooser("a", "b", "c", "d")
    holder = router.choose(chat(text("talk", 2), system=DOCUMENT))
    router.engines[holder].in_flight = 50
    second = router.choose(chat(text("other", 2), system=DOCUMENT))
    router.engines[second].in_flight = 0
    again = router.choose(chat(text("talk", 2), text("answer", 1), "more?", system=DOCUMENT))
    assert again == second, "it has the document, if not the conversation"


@pytest.mark.parametrize("why", ["it is gone", "it is set aside", "it was tried"])
def test_another_engine_is_taken_where_the_one_that_knows_it_cant(why: str) -> None:
    router = Chooser("a", "b", "c")
    request = chat("one?", system=DOCUMENT)
    first = router.choose(request)
    if why == "it is gone":
        router.has(*({"a", "b", "c"} - {first}))
    elif why == "it is set aside":
        router.engines[first].aside_until = router.now + 1
    second = router.choose(request, tried=[first] if why == "it was tried" else [])
    assert second not in ("", first)


def test_an_engine_that_comes_back_anew_is_not_taken_for_the_old_one() -> None:
    router = Chooser("a", "b")
    request = chat("one?", system=DOCUMENT)
    first = router.choose(request)
    (other,) = {"a", "b"} - {first}
    router.has(other)
    router.has("a", "b")
    router.engines[first].in_flight = 9  # rendezvous would choose it
    assert router.choose(request) == other
    router.engines[first].in_flight = 0
    assert router.choose(request) == other, "what the old one knew is forgotten"


def test_memory_is_touched_no_more_than_needed() -> None:
    router = Chooser("a", "b")
    router.choose(chat("one?", system=DOCUMENT))
    before = router.remembered
    for n in range(10):
        router.choose(chat(f"question {n}?", system=DOCUMENT))
    assert before == router.remembered == len(DOCUMENT) // BLOCK


@pytest.mark.parametrize(
    ("engines", "document", "path"),
    [
        pytest.param(("a",), chat(DOCUMENT), "/v1/chat/completions", id="one engine"),
        pytest.param(("a", "b"), chat("hi"), "/v1/chat/completions", id="less than a block"),
        pytest.param(("a", "b"), {"prompt": DOCUMENT}, "/tokenize", id="nothing an engine keeps"),
        pytest.param(("a", "b"), {"query": DOCUMENT, "documents": []}, "/v1/rerank", id="no prompt"),
    ],
)
def test_nothing_is_computed_where_nothing_is_to_gain(
    engines: tuple[str, ...], document: dict[str, object], path: str
) -> None:
    router = Chooser(*engines)
    assert router.prepared(document, path).wish is None
    assert router.choose(document, path=path) in engines
    assert router.remembered == 0
