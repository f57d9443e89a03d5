"""API keys: who gets in, what they may name, and what becomes known of it."""

import asyncio
import json
import subprocess
from collections.abc import Sequence
from typing import Any

import openai
import pytest
import yaml

from pointsman_router import config
from pointsman_router.clients import keys
from tests.router.alone.running import COMMAND
from tests.router.engine import reply
from tests.router.stack import Stack, configuration, get, post, service, variant

ALICE, BOB, OLD = "sk-alice", "sk-bob", "sk-alice-before"


async def guarded(stack: Stack) -> Stack:
    """Two models; Alice (who has two keys) may use both, Bob only `mail`."""
    engine = await stack.engine(always=reply({"ok": True}))
    services = [service(name, variant("v", engine)) for name in ("chat", "mail")]
    document = {**configuration(*services), "keys": lines()}
    return await stack.start(document)


def lines() -> list[dict[str, Any]]:
    return [
        {"name": "alice", "sha256": keys.digest(ALICE)},
        {"name": "bob", "sha256": keys.digest(BOB), "models": ["mail", "soon"]},
        {"name": "alice", "sha256": keys.digest(OLD)},
    ]


def chat(model: str, *fields: str) -> bytes:
    return post("/v1/chat/completions", {"model": model, "messages": []}, *fields)


LET_IN = {
    "Authorization: Bearer": f"Authorization: Bearer {ALICE}",
    "the word in any case": f"authorization: bearer {ALICE}",
    "x-api-key, as Anthropic's clients do": f"X-Api-Key: {ALICE}",
    "api-key, as Azure's clients do": f"api-key: {ALICE}",
    "another key of the same name": f"Authorization: Bearer {OLD}",
}


@pytest.mark.parametrize("field", LET_IN.values(), ids=LET_IN.keys())
async def test_whoever_has_a_key_is_let_in(stack: Stack, field: str) -> None:
    await guarded(stack)
    assert (await stack.ask(chat("chat", field))).status == 200
    (request,) = stack.engines[0].requests
    assert "alice" not in str(request).lower(), "no credential reaches an engine"
    (entry,) = stack.entries()
    assert entry["key"] == "alice"
    assert not any(secret in json.dumps(entry) for secret in (ALICE, OLD))
    assert stack.metric("key_requests_total", key="alice") == 1
    assert stack.metric("key_requests_total", key="bob") == 0


KEPT_OUT = {
    "no key": (),
    "an unknown key": ("Authorization: Bearer sk-eve",),
    "a key's beginning": (f"Authorization: Bearer {ALICE[:-1]}",),
    "the digest instead of the key": (f"Authorization: Bearer {keys.digest(ALICE)}",),
    "Basic": (f"Authorization: Basic {ALICE}",),
    "no word before it": (f"Authorization: {ALICE}",),
    "nothing after the word": ("Authorization: Bearer",),
    "the key in the query": (),
}


@pytest.mark.parametrize("fields", KEPT_OUT.values(), ids=KEPT_OUT.keys())
async def test_whoever_has_none_is_told_so(stack: Stack, fields: Sequence[str]) -> None:
    await guarded(stack)
    for request in (chat("chat", *fields), get(f"/v1/models?api-key={ALICE}", *fields)):
        answer = await stack.ask(request)
        assert answer.status == 401
        assert answer.field("www-authenticate") == "Bearer"
        assert (answer.error["type"], answer.error["code"]) == ("invalid_request_error", "invalid_api_key")
    assert stack.engines[0].requests == []
    assert [entry["status"] for entry in stack.entries()] == [401, 401]


async def test_an_anthropic_client_is_told_in_its_own_words(stack: Stack) -> None:
    await guarded(stack)
    answer = await stack.ask(post("/v1/messages", {"model": "chat", "messages": []}, "x-api-key: sk-eve"))
    assert answer.status == 401
    assert answer.document["error"]["type"] == "authentication_error"


async def test_the_openai_client_raises_what_its_users_expect(stack: Stack) -> None:
    await guarded(stack)
    base = f"http://127.0.0.1:{stack.port}/v1"
    async with openai.AsyncOpenAI(base_url=base, api_key="sk-eve", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided"):
            await client.chat.completions.create(model="chat", messages=[])
    async with openai.AsyncOpenAI(base_url=base, api_key=BOB, max_retries=0) as client:
        assert [model.id async for model in client.models.list()] == ["mail"]
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            await client.chat.completions.create(model="chat", messages=[])


async def test_a_model_that_a_key_may_not_use_is_one_that_does_not_exist(stack: Stack) -> None:
    await guarded(stack)
    bearer = f"Authorization: Bearer {BOB}"
    assert (await stack.ask(chat("mail", bearer))).status == 200
    forbidden, unknown = await stack.ask(chat("chat", bearer)), await stack.ask(chat("none", bearer))
    assert forbidden.error["code"] == unknown.error["code"] == "model_not_found"
    assert forbidden.error["message"].replace("chat", "none") == unknown.error["message"]
    listed = (await stack.ask(get("/v1/models", bearer))).document["data"]
    assert [model["id"] for model in listed] == ["mail"]
    assert (await stack.ask(get("/v1/models/mail", bearer))).status == 200
    assert (await stack.ask(get("/v1/models/chat", bearer))).status == 404
    assert len(stack.engines[0].requests) == 1


async def test_a_body_is_not_read_for_who_has_no_key(stack: Stack) -> None:
    await guarded(stack)
    client = await stack.client()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n"
    await client.send(f"{head}Expect: 100-continue\r\n\r\n".encode())
    assert (await client.answer()).status == 401
    other = await stack.client()
    await other.send(f"{head}\r\n".encode() + b"x" * 1_000_000)
    await asyncio.sleep(0.05)
    assert stack.router.buffered_bytes == 0


async def test_each_request_of_a_connection_is_asked_for_its_own_key(stack: Stack) -> None:
    await guarded(stack)
    client = await stack.client()
    for credential, status in (
        (ALICE, 200),
        ("sk-eve", 401),
        (ALICE, 200),
        ("", 401),
        (BOB, 404),
        (ALICE, 200),
    ):
        field = (f"Authorization: Bearer {credential}",) if credential else ()
        assert (await client.ask(chat("chat", *field))).status == status
    assert stack.metric("key_requests_total", key="alice") == 3
    assert stack.metric("key_requests_total", key="bob") == 1


async def test_a_key_that_is_taken_away_is_refused_from_the_next_request_on(stack: Stack) -> None:
    await guarded(stack)
    client = await stack.client()
    ask = chat("chat", f"Authorization: Bearer {ALICE}")
    assert (await client.ask(ask)).status == 200
    engine = stack.engines[0]
    document = {**configuration(service("chat", variant("v", engine))), "keys": lines()[1:2]}
    assert stack.router.state.apply_config(document)
    assert (await client.ask(ask)).status == 401
    assert stack.metric("key_requests_total", key="alice") == 0, "and forgotten"
    assert stack.router.state.apply_config(configuration(service("chat", variant("v", engine))))
    assert (await client.ask(chat("chat"))).status == 200, "without keys nobody needs one"


async def test_probes_need_no_key(stack: Stack) -> None:
    await guarded(stack)
    stack.engines[0].script = reply({"choices": [{"message": {"content": "x"}}]})
    answer = await stack.admin("POST", "/probe/chat")
    assert (answer.status, answer.document["ok"]) == (200, True)


def test_the_command_makes_a_key_and_its_line() -> None:
    made = [
        subprocess.run(
            [*COMMAND, "key", 'team "a"', "--model=chat", "--model=mail"],
            capture_output=True,
            text=True,
            check=True,
        )
        for _ in range(2)
    ]
    secrets = [one.stderr.split()[-1] for one in made]
    assert secrets[0] != secrets[1]
    assert len(secrets[0]) > 40
    for one, secret in zip(made, secrets, strict=True):
        assert secret not in one.stdout, "what is redirected into the file holds no secret"
        document = {"name": "x", **yaml.safe_load(f"keys:\n{one.stdout}")}
        (key,) = config.parse(document).keys
        assert (key.name, key.models) == ('team "a"', ("chat", "mail"))
        assert key.sha256 == keys.digest(secret)
