"""What of a request is compared: the beginning of its prompt, as each API writes it."""

import time
from typing import Any

import pytest

from pointsman_router.picking.prompts import Said
from pointsman_router.picking.wishes import chain_of

LIMIT = 4096
SYSTEM = {"role": "system", "content": "You are brief."}
ASKED = {"role": "user", "content": "What is this?"}
ANSWERED = {"role": "assistant", "content": "A test."}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
}

GROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "chat": ({"messages": [SYSTEM, ASKED]}, {"messages": [SYSTEM, ASKED, ANSWERED, ASKED]}),
    "chat with content parts": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "See:"}, IMAGE]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "See:"}, IMAGE]}, ANSWERED]},
    ),
    "chat with a tool's answer": (
        {"messages": [ASKED, CALL]},
        {"messages": [ASKED, CALL, {"role": "tool", "tool_call_id": "1", "content": "rain"}]},
    ),
    "chat with tools": (
        {"tools": [TOOL], "messages": [ASKED]},
        {"messages": [ASKED, ANSWERED, ASKED], "tools": [TOOL]},
    ),
    "completion": ({"prompt": "Once upon"}, {"prompt": "Once upon a time"}),
    "responses with a text": ({"input": "Hello"}, {"input": "Hello, you"}),
    "responses with items": (
        {"instructions": "Be brief.", "input": [ASKED]},
        {"input": [ASKED, ANSWERED, ASKED], "instructions": "Be brief."},
    ),
    "Anthropic": (
        {"system": "You are brief.", "messages": [ASKED]},
        {"messages": [ASKED, ANSWERED, ASKED], "system": "You are brief."},
    ),
    "Anthropic, its mark of what to cache moving on": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "5m"}}
                    ],
                }
            ]
        },
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, ANSWERED]},
    ),
    "a text that becomes a part": (
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, ANSWERED]},
    ),
}


@pytest.mark.parametrize(("first", "later"), GROWS.values(), ids=GROWS)
def test_a_later_turn_begins_as_the_earlier_one_did(first: dict[str, Any], later: dict[str, Any]) -> None:
    begun = Said(first).beginning(LIMIT)
    assert begun
    assert Said(later).beginning(LIMIT).startswith(begun)


DIFFERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another role": ({"messages": [ASKED]}, {"messages": [ASKED | {"role": "assistant"}]}),
    "another division into messages": (
        {"messages": [ASKED, ANSWERED]},
        {"messages": [ASKED | {"content": ASKED["content"] + ANSWERED["content"]}]},
    ),
    "another system prompt": ({"system": "A", "messages": [ASKED]}, {"system": "B", "messages": [ASKED]}),
    "other tools": ({"tools": [TOOL], "messages": [ASKED]}, {"messages": [ASKED]}),
    "another image": (
        {"messages": [{"role": "user", "content": [IMAGE]}]},
        {"messages": [{"role": "user", "content": [IMAGE | {"image_url": {"url": "data:,B"}}]}]},
    ),
    "other token ids": ({"prompt": [1, 2, 3]}, {"prompt": [1, 2, 4]}),
    "another of several prompts": ({"prompt": ["a", "b"]}, {"prompt": ["a", "c"]}),
}


@pytest.mark.parametrize(("one", "other"), DIFFERS.values(), ids=DIFFERS)
def test_different_prompts_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert Said(one).beginning(LIMIT) != Said(other).beginning(LIMIT)


def _nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"messages": None},
        {"messages": []},
        {"messages": "text"},
        {"messages": [1, None]},
        {"messages": [None, ASKED]},
        {"messages": [{}]},
        {"messages": [{"role": 1, "content": {"text": [[[[[[[["deep"]]]]]]]]}}]},
        {"messages": [ASKED, 3]},
        {"prompt": None},
        {"prompt": [[1, 2], [3]]},
        {"prompt": [1, "a"]},
        {"input": {"a": {"b": {"c": {"d": {"e": {"f": {"g": "deep"}}}}}}}},
        {"tools": {"a": 1}, "input": [{"role": "user"}]},
        {"tools": None, "messages": [ASKED]},
        {"tools": _nested(400), "messages": [ASKED]},
        {"messages": [{"role": "user", "content": _nested(400)}]},
    ],
    ids=lambda document: str(document)[:60],
)
def test_what_an_engine_will_refuse_is_no_trouble_here(document: dict[str, Any]) -> None:
    assert len(Said(document).beginning(16)) <= 16


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"prompt": "x" * 10_000_000}, id="a huge text"),
        pytest.param({"prompt": "\U0001f600" * 2000}, id="wide characters"),
        pytest.param({"prompt": list(range(100_000))}, id="many token ids"),
        pytest.param({"messages": [ASKED] * 10_000}, id="many messages"),
        pytest.param({"messages": [ASKED | {"content": "y" * 3000}] * 3}, id="long messages"),
        pytest.param({"messages": [{"role": "user", "content": [IMAGE] * 10_000}]}, id="many parts"),
        pytest.param({"tools": [TOOL] * 1000, "messages": [ASKED]}, id="many tools"),
    ],
)
def test_no_more_than_the_limit_is_looked_at(document: dict[str, Any]) -> None:
    assert LIMIT / 2 < len(Said(document).beginning(LIMIT)) <= LIMIT


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"prompt": [None] * 3_000_000}, id="a list without text"),
        pytest.param({"messages": [{}] * 3_000_000}, id="messages without text"),
        pytest.param({"messages": [ASKED | {"role": "r" * 10_000_000}] * 100}, id="long roles"),
        pytest.param({"input": [{str(n): n for n in range(1_000_000)}]}, id="many members"),
    ],
)
def test_much_without_a_prompt_costs_little(document: dict[str, Any]) -> None:
    started = time.process_time()
    assert len(Said(document).beginning(LIMIT)) <= LIMIT
    assert time.process_time() - started < 0.05


def test_a_chain_has_a_hash_for_each_whole_block() -> None:
    data = bytes(range(256)) * 4
    assert [len(chain_of(data[:size], 256)) for size in (0, 255, 256, 511, 512, 1024)] == [0, 0, 1, 1, 2, 4]


def test_a_hash_tells_of_all_blocks_before_it() -> None:
    one, other = chain_of(b"a" * 16 + b"x" * 32, 16), chain_of(b"b" * 16 + b"x" * 32, 16)
    assert not set(one) & set(other)
    assert one[1] != one[2], "the same block at another place"
