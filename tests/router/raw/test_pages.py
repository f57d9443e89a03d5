"""Web pages that call the router from a browser: who may, and what they're told (CORS)."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.router.engine import events
from tests.router.raw.case import HOST, Case, Got, Told, check, post
from tests.router.stack import Stack, configuration, service, variant

APP = "https://app.example"
LISTED: dict[str, Any] = {"cors": {"allowedOrigins": [APP, "http://localhost:3000"], "maxAgeSeconds": 60}}
ANY: dict[str, Any] = {"cors": {"allowedOrigins": ["*"], "allowedHeaders": ["X-Mine"]}}
TRUSTING: dict[str, Any] = {"cors": {"allowedOrigins": [APP], "allowCredentials": True}}
KEYED: dict[str, Any] = LISTED | {"keys": [{"name": "team", "sha256": "0" * 64}]}

ALLOW = "access-control-allow-origin"
METHODS = "access-control-allow-methods"
EXPOSE = "access-control-expose-headers"
CREDENTIALS = "access-control-allow-credentials"
NOTHING: dict[str, str | None] = {ALLOW: None, METHODS: None, EXPOSE: None, CREDENTIALS: None}
FOR_APP: dict[str, str | None] = {
    ALLOW: APP,
    EXPOSE: "x-request-id, retry-after, x-pointsman-revision, x-pointsman-prompt",
    "vary": "Origin",
    CREDENTIALS: None,
}
FOR_ANY: dict[str, str | None] = {ALLOW: "*", "vary": None, CREDENTIALS: None}


def preflight(path: bytes = b"/v1/chat/completions", origin: str = APP, asked: bytes = b"POST") -> bytes:
    head = b"OPTIONS " + path + b" HTTP/1.1\r\n" + HOST + b"Origin: " + origin.encode() + b"\r\n"
    return head + b"Access-Control-Request-Method: " + asked + b"\r\n\r\n"


def from_page(origin: str, *fields: bytes) -> bytes:
    return post(b"Origin: " + origin.encode(), *fields)


def told(
    name: str, sent: bytes, told: Told, document: Mapping[str, Any], *got: Got, goes_on: bool = True
) -> Case:
    return Case(name, sent, (told,), got, goes_on, document=document)


CASES: tuple[Case, ...] = (
    told(
        "preflight of a listed page",
        preflight(),
        Told(204, fields=FOR_APP | {METHODS: "POST", "access-control-max-age": "60"}),
        LISTED,
    ),
    told(
        "preflight of another listed page",
        preflight(origin="http://localhost:3000"),
        Told(204, fields={ALLOW: "http://localhost:3000"}),
        LISTED,
    ),
    told(
        "preflight of a path that takes GET",
        preflight(b"/v1/models", asked=b"GET"),
        Told(204, fields=FOR_APP | {METHODS: "GET"}),
        LISTED,
    ),
    told(
        "preflight of another spelling of a path",
        preflight(b"//v1/./models"),
        Told(204, fields={METHODS: "GET"}),
        LISTED,
    ),
    told(
        "preflight of any page",
        preflight(origin="https://anyone.example"),
        Told(204, fields=FOR_ANY | {METHODS: "POST"}),
        ANY,
    ),
    told(
        "preflight where pages may bring cookies",
        preflight(),
        Told(204, fields={ALLOW: APP, CREDENTIALS: "true"}),
        TRUSTING,
    ),
    told(
        "preflight of a page that isn't listed",
        preflight(origin="https://evil.example"),
        Told(403, "origin_not_allowed", NOTHING),
        LISTED,
    ),
    told(
        "preflight of a page that begins like one",
        preflight(origin=APP + ".evil"),
        Told(403, "origin_not_allowed", NOTHING),
        LISTED,
    ),
    told(
        "preflight of a page of another scheme",
        preflight(origin="http://app.example"),
        Told(403, "origin_not_allowed", NOTHING),
        LISTED,
    ),
    told(
        "preflight of a page without an origin",
        preflight(origin="null"),
        Told(403, "origin_not_allowed", NOTHING),
        LISTED,
    ),
    told(
        "preflight of a path that isn't there",
        preflight(b"/nowhere"),
        Told(404, "unknown_url", FOR_APP),
        LISTED,
    ),
    told("preflight where no pages may", preflight(), Told(405, "method_not_allowed", NOTHING), {}),
    told(
        "OPTIONS that is no preflight",
        b"OPTIONS /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
        Told(405, "method_not_allowed"),
        LISTED,
    ),
    told("an answer to a listed page", from_page(APP), Told(200, fields=FOR_APP), LISTED, Got()),
    told("an answer to any page", from_page("https://anyone.example"), Told(200, fields=FOR_ANY), ANY, Got()),
    told(
        "an answer to a page that brings cookies",
        from_page(APP),
        Told(200, fields={CREDENTIALS: "true"}),
        TRUSTING,
        Got(),
    ),
    told(
        "an answer to a page that isn't listed",
        from_page("https://evil.example"),
        Told(200, fields=NOTHING | {"vary": "Origin"}),
        LISTED,
        Got(),
    ),
    told("an answer to no page", post(), Told(200, fields=NOTHING | {"vary": "Origin"}), LISTED, Got()),
    told(
        "an answer where no pages may", from_page(APP), Told(200, fields=NOTHING | {"vary": None}), {}, Got()
    ),
    told(
        "an error for a listed page",
        post(b"Origin: " + APP.encode(), body=b"[]"),
        Told(400, "invalid_body", FOR_APP),
        LISTED,
    ),
    told(
        "a list for a listed page",
        b"GET /v1/models HTTP/1.1\r\n" + HOST + b"Origin: " + APP.encode() + b"\r\n\r\n",
        Told(200, fields=FOR_APP),
        LISTED,
    ),
    told(
        "a body too large, of a listed page",
        b"POST /v1/chat/completions HTTP/1.1\r\n"
        + HOST
        + b"Origin: "
        + APP.encode()
        + b"\r\nExpect: magic\r\n\r\n",
        Told(417, "expectation_failed"),
        LISTED,
        goes_on=False,
    ),
    told(
        "a page with two origins",
        post(b"Origin: " + APP.encode(), b"Origin: https://evil.example"),
        Told(400, "bad_request"),
        LISTED,
        goes_on=False,
    ),
    told(
        "a page whose origin holds a line of its own",
        from_page(APP + "\rX: y"),
        Told(400, "bad_request"),
        ANY,
        goes_on=False,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_pages(case: Case, stack: Stack) -> None:
    await check(case, stack)


async def test_a_preflight_needs_no_key(stack: Stack) -> None:
    await stack.engine()
    await stack.start(configuration(service("chat")) | KEYED)
    client = await stack.client()
    assert (await client.ask(preflight())).status == 204
    denied = await client.ask(from_page(APP))
    assert (denied.status, denied.error["code"]) == (401, "invalid_api_key")
    assert denied.field(ALLOW) == APP, "the page must be able to read why"


async def test_a_stream_carries_the_pages_permission(stack: Stack) -> None:
    engine = await stack.engine(events({"n": 1}, {"n": 2}))
    await stack.start(configuration(service("chat", variant("v", engine))) | LISTED)
    client = await stack.client()
    answer = await client.ask(post(b"Origin: " + APP.encode(), body=b'{"model":"chat","stream":true}'))
    assert (answer.status, answer.field(ALLOW), answer.field("vary")) == (200, APP, "Origin")
    assert len(answer.chunks) == 3
