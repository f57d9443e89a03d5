"""Whose word is taken: credentials, addresses, ids, traces and what only the router may say."""

from typing import Any

import pytest

from tests.router.raw.case import Case, answered, check, passed, post, refused
from tests.router.stack import Stack

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PARENT = ("traceparent", TRACE.decode())
PROXIES: dict[str, Any] = {"trustedProxies": ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"]}
TIMEOUT = (400, "invalid_header")

DROPPED: tuple[Case, ...] = tuple(
    passed(line.partition(b":")[0].decode(), post(line, b"X-Kept: 1"), ("x-kept", "1"))
    for line in (
        b"Authorization: Bearer sk-secret",
        b"AUTHORIZATION: Basic c2VjcmV0",
        b"x-api-key: sk-secret",
        b"Api-Key: sk-secret",
        b"Cookie: session=secret",
        b"X-Goog-Api-Key: secret",
        b"X-Auth-Token: secret",
        b"X-Amz-Security-Token: secret",
        b"X-Auth-Request-Access-Token: secret",
        b"X-Amzn-Oidc-Data: secret",
        b"X-MS-Client-Principal: secret",
        b"Remote-User: admin",
        b"SSL-Client-Cert: secret",
        b"X-Pointsman-Tenant: admin",
        b"x-POINTSMAN-anything: 1",
        b"Forwarded: for=1.2.3.4;host=evil;proto=https",
        b"X-Forwarded-For: 1.2.3.4",
        b"X-Forwarded-Host: evil",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Port: 443",
        b"X-Forwarded-Prefix: /admin",
        b"X-Forwarded-Anything-Else: 1",
        b"X-Real-IP: 1.2.3.4",
        b"True-Client-IP: 1.2.3.4",
        b"CF-Connecting-IP: 1.2.3.4",
        b"Via: 1.1 evil",
        b"X-Envoy-Original-Path: /admin",
        b"X-Original-URL: /admin",
        b"X-Rewrite-URL: /admin",
        b"X-HTTP-Method-Override: DELETE",
        b"X-Data-Parallel-Rank: 3",
        b"Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
        b"Digest: sha-256=x",
        b"Accept-Encoding: gzip, br",
        b"Origin: https://evil.example",
        b"Access-Control-Request-Method: POST",
        b"Access-Control-Request-Headers: x",
    )
)

KEPT: tuple[Case, ...] = (
    passed("Accept", post(b"Accept: text/event-stream"), ("accept", "text/event-stream")),
    passed("User-Agent", post(b"User-Agent: OpenAI/Python 2.0"), ("user-agent", "OpenAI/Python 2.0")),
    passed("a field of the client's own", post(b"X-Anything: 1, 2; q=1"), ("x-anything", "1, 2; q=1")),
    passed("Content-Type, once", post(b"Content-Type: text/json"), ("content-type", "text/json")),
    refused("Content-Type, twice", post(b"Content-Type: a/b", b"Content-Type: c/d")),
    answered("Content-Encoding", post(b"Content-Encoding: gzip"), 415, "unsupported_encoding"),
    answered(
        "Content-Encoding in two fields, of which the last is harmless",
        post(b"Content-Encoding: gzip", b"Content-Encoding: identity"),
        415,
        "unsupported_encoding",
    ),
    passed("Content-Encoding: identity", post(b"Content-Encoding: identity")),
    refused("Authorization, twice", post(b"Authorization: Bearer a", b"Authorization: Bearer b")),
    passed("the same key in two fields", post(b"Authorization: Bearer a", b"X-Api-Key: a")),
    answered("two keys that differ", post(b"Authorization: Bearer a", b"X-Api-Key: b"), *TIMEOUT),
    answered("two keys in fields of one name", post(b"X-Api-Key: a", b"X-Api-Key: b"), *TIMEOUT),
)

IDS: tuple[Case, ...] = (
    passed("a sane id is kept", post(b"X-Request-Id: req_01H:/+=@.x"), id="req_01H:/+=@.x"),
    passed("an id of 128 characters is kept", post(b"X-Request-Id: " + b"a" * 128), id="a" * 128),
    passed("a longer one is replaced", post(b"X-Request-Id: " + b"a" * 129)),
    passed("one with a quote is replaced", post(b'X-Request-Id: a"b')),
    passed("one above ASCII is replaced", post(b"X-Request-Id: \xe9")),
    passed("two are replaced", post(b"X-Request-Id: a", b"X-Request-Id: b")),
    passed("a trace goes along", post(b"traceparent: " + TRACE), PARENT),
    passed(
        "a trace with its state",
        post(b"tracestate: a=b,c=d", b"traceparent: " + TRACE),
        PARENT,
        ("tracestate", "a=b,c=d"),
    ),
    passed(
        "a state in two fields",
        post(b"traceparent: " + TRACE, b"tracestate: a=b", b"tracestate: c=d"),
        PARENT,
        ("tracestate", "a=b,c=d"),
    ),
    passed("a state without a trace is dropped", post(b"tracestate: a=b")),
    passed(
        "a state too long is dropped", post(b"traceparent: " + TRACE, b"tracestate: " + b"a" * 1025), PARENT
    ),
    passed(
        "a trace of another version",
        post(b"traceparent: 01" + TRACE[2:] + b"-more"),
        ("traceparent", "01" + PARENT[1][2:] + "-more"),
    ),
    passed("a trace of version ff is dropped", post(b"traceparent: ff" + TRACE[2:])),
    passed("a trace of version 00 with more is dropped", post(b"traceparent: " + TRACE + b"-more")),
    passed("a trace in capitals is dropped", post(b"traceparent: " + TRACE.upper())),
    passed(
        "a trace of zeros is dropped, its state too",
        post(b"traceparent: 00-" + b"0" * 32 + TRACE[35:], b"tracestate: a=b"),
    ),
    passed("a trace without a parent is dropped", post(b"traceparent: " + TRACE[:36] + b"0" * 16 + b"-01")),
    passed("two traces are dropped", post(b"traceparent: " + TRACE, b"traceparent: " + TRACE)),
    passed("rubbish for a trace is dropped", post(b"traceparent: rubbish")),
)

DEADLINES: tuple[Case, ...] = (
    passed("whole seconds", post(b"X-Pointsman-Timeout: 30")),
    passed("parts of a second", post(b"x-pointsman-timeout: 2.5")),
    answered("zero", post(b"X-Pointsman-Timeout: 0"), *TIMEOUT),
    answered("a negative one", post(b"X-Pointsman-Timeout: -1"), *TIMEOUT),
    answered("one with a unit", post(b"X-Pointsman-Timeout: 5s"), *TIMEOUT),
    answered("one with an exponent", post(b"X-Pointsman-Timeout: 1e3"), *TIMEOUT),
    answered("no number", post(b"X-Pointsman-Timeout: nan"), *TIMEOUT),
    answered("infinity", post(b"X-Pointsman-Timeout: inf"), *TIMEOUT),
    answered("an empty one", post(b"X-Pointsman-Timeout:"), *TIMEOUT),
    refused("two", post(b"X-Pointsman-Timeout: 5", b"X-Pointsman-Timeout: 6")),
)

ADDRESSES: tuple[Case, ...] = (
    passed("nobody is trusted", post(b"X-Forwarded-For: 1.2.3.4"), logged="127.0.0.1"),
    passed("of a trusted proxy", post(b"X-Forwarded-For: 1.2.3.4"), document=PROXIES, logged="1.2.3.4"),
    passed(
        "the right-most counts",
        post(b"X-Forwarded-For: 6.6.6.6, 1.2.3.4"),
        document=PROXIES,
        logged="1.2.3.4",
    ),
    passed(
        "proxies in between",
        post(b"X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.1.1.1, fd00::1"),
        document=PROXIES,
        logged="1.2.3.4",
    ),
    passed(
        "in several fields",
        post(b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-For: 1.2.3.4, 10.1.1.1"),
        document=PROXIES,
        logged="1.2.3.4",
    ),
    passed(
        "all are trusted", post(b"X-Forwarded-For: 10.2.2.2, 10.1.1.1"), document=PROXIES, logged="10.2.2.2"
    ),
    passed(
        "with ports",
        post(b"X-Forwarded-For: [2001:db8::1]:4711, 10.1.1.1:80"),
        document=PROXIES,
        logged="2001:db8::1",
    ),
    passed("mapped to IPv6", post(b"X-Forwarded-For: ::ffff:1.2.3.4"), document=PROXIES, logged="1.2.3.4"),
    passed(
        "behind rubbish",
        post(b"X-Forwarded-For: 1.2.3.4, rubbish, 10.1.1.1"),
        document=PROXIES,
        logged="10.1.1.1",
    ),
    passed("nothing but rubbish", post(b'X-Forwarded-For: rubbish"}'), document=PROXIES, logged="127.0.0.1"),
    passed("empty", post(b"X-Forwarded-For:"), document=PROXIES, logged="127.0.0.1"),
    passed(
        "another proxy is trusted",
        post(b"X-Forwarded-For: 1.2.3.4"),
        document={"trustedProxies": ["10.0.0.0/8"]},
    ),
)


@pytest.mark.parametrize("case", DROPPED, ids=lambda case: f"dropped: {case.name}")
async def test_dropped(case: Case, stack: Stack) -> None:
    await check(case, stack)


@pytest.mark.parametrize("case", KEPT, ids=lambda case: case.name)
async def test_kept(case: Case, stack: Stack) -> None:
    await check(case, stack)


@pytest.mark.parametrize("case", IDS, ids=lambda case: f"id: {case.name}")
async def test_ids(case: Case, stack: Stack) -> None:
    await check(case, stack)


@pytest.mark.parametrize("case", DEADLINES, ids=lambda case: f"deadline: {case.name}")
async def test_deadlines(case: Case, stack: Stack) -> None:
    await check(case, stack)


@pytest.mark.parametrize("case", ADDRESSES, ids=lambda case: f"address: {case.name}")
async def test_addresses(case: Case, stack: Stack) -> None:
    await check(case, stack)
