"""Prompts on the way of a request: wrapped, filled in, refused, and the same over every attempt."""

import json
import tracemalloc
from typing import Any

import pytest

from pointsman_router.errors import RefusedError
from pointsman_router.prompts import Prompt, PromptMessage, PromptVariable
from pointsman_router.rendering.renderer import LARGEST_BYTES, Renderer
from tests.router.engine import FakeEngine, reply
from tests.router.stack import Stack, configuration, post, service, variant

CHAT = "/v1/chat/completions"
SUPPORT: dict[str, Any] = {
    "name": "support.11111111",
    "messages": [
        {"role": "system", "content": 'You help "{{customer}}" on plan {{plan}}.'},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi, {{customer}}."},
    ],
    "variables": [
        {"name": "customer", "maxLength": 20},
        {"name": "plan", "required": False, "default": "free", "options": ["free", "paid"]},
    ],
}
PLAIN: dict[str, Any] = {"name": "plain.22222222", "messages": [{"role": "system", "content": "Be brief."}]}
QUESTION = {"role": "user", "content": "What now?"}


def prompted(*variants: dict[str, Any], prompts: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return configuration({**service("chat", *variants), "prompts": prompts}, **fields)


def by(name: str, *engines: FakeEngine | str, prompt: str, weight: int = 100) -> dict[str, Any]:
    return variant(name, *engines, weight=weight) | ({"prompt": prompt} if prompt else {})


async def started(stack: Stack, prompt: dict[str, Any], engine: FakeEngine) -> None:
    await stack.start(prompted(by("v1", engine, prompt=prompt["name"]), prompts=[prompt]))


async def test_a_clients_messages_follow_the_prompts(stack: Stack) -> None:
    engine = await stack.engine()
    await started(stack, SUPPORT, engine)
    answer = await stack.chat(messages=[QUESTION], prompt_variables={"customer": 'Ada "the" {{plan}}'}, n=2)
    assert answer.status == 200
    sent = engine.requests[0].document
    assert sent == {
        "model": "chat",
        "n": 2,
        "messages": [
            {"role": "system", "content": 'You help "Ada "the" {{plan}}" on plan free.'},
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": 'Hi, Ada "the" {{plan}}.'},
            QUESTION,
        ],
    }


@pytest.mark.parametrize("fields", [{}, {"messages": []}], ids=["absent", "empty"])
async def test_values_alone_are_enough(stack: Stack, fields: dict[str, Any]) -> None:
    engine = await stack.engine()
    await started(stack, SUPPORT, engine)
    body = {"model": "chat", "prompt_variables": {"customer": "Ada", "plan": "paid"}, **fields}
    assert (await stack.ask(post(CHAT, body))).status == 200
    sent = engine.requests[0].document
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant"]
    assert sent["messages"][0]["content"] == 'You help "Ada" on plan paid.'


async def test_the_order_of_members_and_what_texts_say_stay(stack: Stack) -> None:
    engine = await stack.engine()
    await started(stack, PLAIN, engine)
    messages = b'"messages" : [ {"content": "\\u00e9\xc3\xa9\\n", "role":"user"} ]'
    body = b'{ "t" : 1.0e0, %b,\t"model": "chat" }' % messages
    assert (await stack.ask(post(CHAT, body))).status == 200
    assert engine.requests[0].body.decode() == (
        '{"t":1.0,"messages":[{"role":"system","content":"Be brief."},'
        '{"content":"éé\\n","role":"user"}],"model":"chat"}'
    )


async def test_an_alias_of_the_model_is_replaced_too(stack: Stack) -> None:
    engine = await stack.engine()
    document = prompted(by("v1", engine, prompt=PLAIN["name"]), prompts=[PLAIN])
    document["services"][0] |= {"modelNames": ["support"]}
    await stack.start(document)
    assert (await stack.ask(post(CHAT, {"model": "support", "messages": []}))).status == 200
    assert engine.requests[0].document["model"] == "chat"


async def test_what_a_prompt_fixes_replaces_what_a_client_asks_for(stack: Stack) -> None:
    engine = await stack.engine()
    fixed = [
        {"name": "temperature", "value": "0.2"},
        {"name": "max_completion_tokens", "value": "50"},
        {"name": "stop", "value": '["END"]'},
    ]
    await started(stack, {**PLAIN, "parameters": fixed}, engine)
    asked = {"temperature": 2, "max_tokens": 9, "max_completion_tokens": 8, "stop": [["a", "]"], "b"], "n": 1}
    assert (await stack.ask(post(CHAT, {**asked, "model": "chat", "messages": [QUESTION]}))).status == 200
    sent = engine.requests[0].document
    assert "max_tokens" not in sent
    assert (sent["temperature"], sent["max_completion_tokens"], sent["stop"], sent["n"]) == (
        0.2,
        50,
        ["END"],
        1,
    )


TYPED = {
    "name": "typed.33333333",
    "messages": [{"role": "user", "content": "{{s}} {{i}} {{n}} {{b}}"}],
    "variables": [
        {"name": "s", "maxLength": 3},
        {"name": "i", "type": "integer", "minimum": 0, "maximum": 10},
        {"name": "n", "type": "number"},
        {"name": "b", "type": "boolean"},
    ],
}
GOOD: dict[str, Any] = {"s": "abc", "i": 3, "n": -0.5, "b": True}


async def test_values_stand_in_the_prompt_as_json_spells_them(stack: Stack) -> None:
    engine = await stack.engine()
    await started(stack, TYPED, engine)
    assert (await stack.chat(prompt_variables=GOOD)).status == 200
    assert engine.requests[0].document["messages"][0]["content"] == "abc 3 -0.5 true"


REFUSED: dict[str, tuple[Any, str, str, str]] = {
    "nothing is given": (
        None,
        "missing_required_parameter",
        "prompt_variables.b",
        "it lacks 'b', 'i', 'n', 's'",
    ),
    "one is missing": ({**GOOD, "s": ...}, "missing_required_parameter", "prompt_variables.s", "lacks 's'"),
    "one is unknown": ({**GOOD, "x": 1}, "unknown_parameter", "prompt_variables.x", "the prompt has no 'x'"),
    "many are unknown": (
        {**GOOD, **{f"x{n}": 1 for n in range(100)}},
        "unknown_parameter",
        "prompt_variables.x0",
        "and 92 more",
    ),
    "one is missing and one unknown": (
        {**GOOD, "s": ..., "S": "a"},
        "missing_required_parameter",
        "prompt_variables.s",
        "it lacks 's', and the prompt has no 'S'",
    ),
    "a list": ([1], "invalid_type", "prompt_variables", "prompt_variables must be an object"),
    "a text": ("s", "invalid_type", "prompt_variables", "prompt_variables must be an object"),
    "a number for a string": ({**GOOD, "s": 1}, "invalid_type", "prompt_variables.s", "must be a string"),
    "null for a string": ({**GOOD, "s": None}, "invalid_type", "prompt_variables.s", "must be a string"),
    "a string too long": ({**GOOD, "s": "abcd"}, "invalid_value", "prompt_variables.s", "longer than 3"),
    "a float for an integer": ({**GOOD, "i": 3.0}, "invalid_type", "prompt_variables.i", "an integer"),
    "true for an integer": ({**GOOD, "i": True}, "invalid_type", "prompt_variables.i", "an integer"),
    "an integer too large": ({**GOOD, "i": 11}, "invalid_value", "prompt_variables.i", "not within 0 to 10"),
    "a number beyond all": ({**GOOD, "n": 1e300}, "invalid_value", "prompt_variables.n", "not within"),
    "a word for a number": ({**GOOD, "n": "1"}, "invalid_type", "prompt_variables.n", "must be a number"),
    "one for true": ({**GOOD, "b": 1}, "invalid_type", "prompt_variables.b", "must be true or false"),
}


@pytest.mark.parametrize(("given", "code", "param", "says"), REFUSED.values(), ids=REFUSED)
async def test_a_request_whose_values_do_not_fit_is_refused(
    stack: Stack, given: Any, code: str, param: str, says: str
) -> None:
    engine = await stack.engine()
    await started(stack, TYPED, engine)
    if isinstance(given, dict):
        given = {name: value for name, value in given.items() if value is not ...}
    answer = await stack.chat(**({} if given is None else {"prompt_variables": given}))
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)
    assert says in answer.error["message"]
    assert answer.error["type"] == "invalid_request_error"
    assert engine.requests == []
    assert stack.metric("requests_total", service="chat", variant="v1", code="400") == 1


async def test_a_choice_is_one_of_those_that_are_told(stack: Stack) -> None:
    await started(stack, SUPPORT, await stack.engine())
    answer = await stack.chat(prompt_variables={"customer": "Ada", "plan": "gold"})
    assert (answer.status, answer.error["message"]) == (
        400,
        "prompt_variables.plan is none of 'free', 'paid'",
    )


async def test_half_a_character_is_no_value(stack: Stack) -> None:
    await started(stack, SUPPORT, await stack.engine())
    body = b'{"model": "chat", "messages": [], "prompt_variables": {"customer": "\\ud800"}}'
    assert (await stack.ask(post(CHAT, body))).status == 400


@pytest.mark.parametrize("messages", [None, "hello", {"role": "user"}])
async def test_messages_must_be_a_list_to_be_wrapped(stack: Stack, messages: Any) -> None:
    await started(stack, PLAIN, await stack.engine())
    answer = await stack.chat(messages=messages)
    assert (answer.status, answer.error["param"]) == (400, "messages")


async def test_what_values_blow_up_is_refused(stack: Stack) -> None:
    many = {"role": "user", "content": "{{a}}" * 3000}
    large = {
        "name": "large.44444444",
        "messages": [many],
        "variables": [{"name": "a", "maxLength": 32_768}],
    }
    engine = await stack.engine()
    await started(stack, large, engine)
    assert (await stack.chat(prompt_variables={"a": "x" * 300})).status == 200
    assert len(engine.requests[0].body) < LARGEST_BYTES
    answer = await stack.chat(prompt_variables={"a": "x" * 400})
    assert (answer.status, answer.error["code"]) == (400, "invalid_value")


def test_what_values_blow_up_is_refused_before_it_is_made() -> None:
    many = PromptMessage("user", "{{a}}" * 3000)
    renderer = Renderer(Prompt("large", (many,), (PromptVariable("a", max_length=32_768),)))
    document = {"prompt_variables": {"a": "x" * 32_768}}
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError):
            renderer.render(document)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < LARGEST_BYTES


PATHS: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": "x"},
    "/v1/responses": {"input": "x"},
    "/v1/messages": {"messages": [QUESTION], "max_tokens": 1},
    "/v1/messages/count_tokens": {"messages": [QUESTION]},
    "/v1/embeddings": {"input": "x"},
    "/tokenize": {"messages": [QUESTION]},
}


@pytest.mark.parametrize("path", PATHS)
async def test_a_prompt_is_left_out_of_nothing_silently(stack: Stack, path: str) -> None:
    engine = await stack.engine()
    await started(stack, PLAIN, engine)
    answer = await stack.ask(post(path, {"model": "chat", **PATHS[path]}))
    assert answer.status == 400
    assert path in answer.error["message"]
    assert ("type" in answer.document) == path.startswith("/v1/messages"), "the API's own shape"
    assert engine.requests == []


async def test_what_has_no_prompt_in_any_case_passes(stack: Stack) -> None:
    engine = await stack.engine()
    await started(stack, PLAIN, engine)
    assert (await stack.ask(post("/detokenize", {"model": "chat", "tokens": [1]}))).status == 200
    assert engine.requests[0].document == {"model": "chat", "tokens": [1]}


@pytest.mark.parametrize("path", [CHAT, "/v1/responses"])
async def test_values_for_what_has_no_prompt_are_refused(stack: Stack, path: str) -> None:
    engine = await stack.engine()
    await stack.start()
    answer = await stack.ask(post(path, {"model": "chat", "messages": [], "prompt_variables": {}}))
    assert (answer.status, answer.error["code"], answer.error["param"]) == (
        400,
        "unknown_parameter",
        "prompt_variables",
    )
    assert engine.requests == []


async def test_each_variant_answers_by_its_own_prompt_on_the_same_engines(stack: Stack) -> None:
    engine = await stack.engine()
    other = {"name": "other.55555555", "messages": [{"role": "system", "content": "Be long."}]}
    variants = [
        by(f"v.{name}", engine, prompt=name, weight=weight)
        for name, weight in (("plain.22222222", 75), ("other.55555555", 25))
    ]
    await stack.start(prompted(*variants, by("bare", engine, prompt="", weight=0), prompts=[PLAIN, other]))
    for _ in range(8):
        assert (await stack.chat(messages=[QUESTION])).status == 200
    said = [request.document["messages"][0]["content"] for request in engine.requests]
    assert sorted(said) == ["Be brief."] * 6 + ["Be long."] * 2
    assert {entry["variant"] for entry in stack.entries()} == {"v.plain.22222222", "v.other.55555555"}


async def test_another_attempt_at_another_variant_has_that_ones_prompt(stack: Stack) -> None:
    draining = await stack.engine(always=reply({"error": {"message": "drains"}}, status=503))
    willing = await stack.engine()
    longer = {**PLAIN, "name": "longer.66666666", "messages": [*PLAIN["messages"], QUESTION, QUESTION]}
    variants = [
        by("v1", draining, prompt=PLAIN["name"], weight=50),
        by("v2", willing, prompt=longer["name"], weight=50),
    ]
    await stack.start(prompted(*variants, prompts=[PLAIN, longer]))
    for _ in range(4):
        assert (await stack.chat(messages=[QUESTION])).status == 200
    assert {len(request.document["messages"]) for request in draining.requests} == {2}
    assert {len(request.document["messages"]) for request in willing.requests} == {4}, "none has both"


async def test_a_probe_needs_no_values_and_asks_for_one_token(stack: Stack) -> None:
    engine = await stack.engine(always=reply({"choices": [{"message": {}}]}))
    fixed = [{"name": "max_completion_tokens", "value": "500"}]
    await started(stack, {**TYPED, "parameters": fixed}, engine)
    answer = await stack.admin("POST", "/probe/chat")
    assert (answer.status, answer.document["ok"], answer.document["variant"]) == (200, True, "v1")
    sent = engine.requests[0].document
    assert sent["max_tokens"] == 1
    assert "max_completion_tokens" not in sent
    assert sent["messages"][0]["content"] == "x 1 1 true"


async def test_values_that_a_prompt_refuses_count_as_the_variants_errors(stack: Stack) -> None:
    engine = await stack.engine()
    document = prompted(
        by("v1", engine, prompt=PLAIN["name"], weight=50),
        by("v2", engine, prompt=SUPPORT["name"], weight=50),
        prompts=[PLAIN, SUPPORT],
    )
    document["services"][0]["analysis"] = {"window": "v2/0"}
    await stack.start(document)
    for _ in range(8):
        await stack.chat(messages=[QUESTION])
    told = (await stack.admin("GET", "/signals")).document["services"]["chat"]["analysis"]["variants"]
    assert (told["v1"]["errors"], told["v2"]["errors"]) == (0, told["v2"]["requests"])
    assert told["v2"]["requests"] >= 3


async def test_an_answer_says_which_prompt_it_was_given_by(stack: Stack) -> None:
    engine = await stack.engine()
    name = "chat-0a1b2c3d.plain.22222222"
    await stack.start(prompted(by(name, engine, prompt=PLAIN["name"]), prompts=[PLAIN]))
    answer = await stack.chat(messages=[QUESTION])
    assert answer.field("x-pointsman-revision") == "chat-0a1b2c3d"
    assert answer.field("x-pointsman-prompt") == "plain"


async def test_the_openai_client_sends_values_as_an_extra_field(stack: Stack) -> None:
    from openai import AsyncOpenAI, BadRequestError

    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "chat", "choices": []}
    engine = await stack.engine(always=reply(answer))
    await started(stack, SUPPORT, engine)
    async with AsyncOpenAI(
        api_key="x", base_url=f"http://127.0.0.1:{stack.port}/v1", max_retries=0
    ) as client:
        await client.chat.completions.create(
            model="chat", messages=[], extra_body={"prompt_variables": {"customer": "Ada"}}
        )
        with pytest.raises(BadRequestError) as refused:
            await client.chat.completions.create(model="chat", messages=[])
    assert json.loads(engine.requests[0].body)["messages"][0]["content"].startswith('You help "Ada"')
    assert (refused.value.code, refused.value.param) == (
        "missing_required_parameter",
        "prompt_variables.customer",
    )
