"""Every bound of a connection, passed by one; and the greatest request that keeps within it."""

import pytest

from tests.router.raw.case import (
    BODY,
    HOST,
    LINE,
    MODELS,
    NEXT,
    OTHER,
    Case,
    Got,
    Told,
    answered,
    check,
    document,
    passed,
    post,
    refused,
)
from tests.router.raw.test_chunks import chunked
from tests.router.stack import Stack

HEAD_431 = (431, "head_too_large")
TARGET_414 = (414, "target_too_long")
BUSY = (503, "overloaded")
KIB = 1024


def padded(size: int) -> bytes:
    """A request whose head has this many bytes."""
    return post(b"X-A: " + b"a" * _fill(size))


def _fill(size: int) -> int:
    return size - (len(post()) - len(BODY)) - len(b"X-A: \r\n")


def fields(count: int) -> bytes:
    """A request with this many fields, of which Host and Content-Length are two."""
    return post(*[b"Cookie: a"] * (count - 2))


def target(size: int) -> bytes:
    path = b"/v1/chat/completions?"
    return post(line=b"POST " + path + b"a" * (size - len(path)) + b" HTTP/1.1\r\n")


def sized(size: int) -> bytes:
    return BODY[:-1] + b" " * (size - len(BODY)) + b"}"


def in_chunks(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


HEADS: tuple[Case, ...] = (
    passed("a head of all bytes", padded(KIB), ("x-a", "a" * _fill(KIB)), settings={"maxHeadBytes": KIB}),
    refused(
        "a head of one byte more",
        padded(KIB + 1),
        *HEAD_431,
        settings={"maxHeadBytes": KIB},
        hits="max_head_bytes",
    ),
    refused(
        "a head that doesn't end", MODELS + HOST + b"X: " + b"a" * 70_000, *HEAD_431, hits="max_head_bytes"
    ),
    refused(
        "many short fields without end",
        MODELS + HOST + b"X: a\r\n" * 12_000,
        *HEAD_431,
        hits="max_head_bytes",
    ),
    passed("all fields", fields(8), settings={"maxHeaders": 8}),
    refused("one field more", fields(9), *HEAD_431, settings={"maxHeaders": 8}, hits="max_headers"),
    refused("one field more than by default", fields(101), *HEAD_431, hits="max_headers"),
    refused("many that would be dropped", fields(2000), *HEAD_431, hits="max_headers"),
    passed(
        "a target of all bytes",
        target(64),
        settings={"maxTargetBytes": 64},
        path=target(64).split()[1].decode(),
    ),
    refused(
        "a target of one byte more",
        target(65),
        *TARGET_414,
        settings={"maxTargetBytes": 64},
        hits="max_target_bytes",
    ),
    refused("a target longer than by default", target(8 * KIB + 1), *TARGET_414, hits="max_target_bytes"),
    refused("a target without end", b"GET /" + b"a" * 10_000, *TARGET_414, hits="max_target_bytes"),
)

BODIES: tuple[Case, ...] = (
    passed("a body of all bytes", post(body=sized(100)), body=sized(100), settings={"maxBodyBytes": 100}),
    refused(
        "a body announced as one byte more",
        LINE + HOST + b"Content-Length: 101\r\n\r\n",
        413,
        "request_too_large",
        settings={"maxBodyBytes": 100},
        hits="max_body_bytes",
    ),
    passed(
        "chunks of all bytes",
        chunked(in_chunks(sized(100), 7)),
        body=sized(100),
        settings={"maxBodyBytes": 100},
    ),
    refused(
        "chunks of one byte more",
        chunked(in_chunks(sized(101), 7)),
        413,
        "request_too_large",
        settings={"maxBodyBytes": 100},
        hits="max_body_bytes",
    ),
    refused(
        "one chunk announced as far more",
        chunked(b"ffffff\r\n" + b"a" * 200),
        413,
        "request_too_large",
        settings={"maxBodyBytes": 100},
        hits="max_body_bytes",
    ),
    refused(
        "a body too large that the client waits to send",
        post(b"Expect: 100-continue", body=sized(101)),
        413,
        "request_too_large",
        settings={"maxBodyBytes": 100},
        hits="max_body_bytes",
    ),
    answered(
        "a body beyond all memory",
        post(body=sized(101)),
        *BUSY,
        settings={"maxBufferedBytes": 100},
        hits="max_buffered_bytes",
    ),
    answered(
        "chunks beyond all memory",
        chunked(in_chunks(sized(101), 7)),
        *BUSY,
        settings={"maxBufferedBytes": 100},
        hits="max_buffered_bytes",
    ),
    refused(
        "a body beyond all memory that the client waits to send",
        post(b"Expect: 100-continue", body=sized(101)),
        *BUSY,
        settings={"maxBufferedBytes": 100},
        hits="max_buffered_bytes",
    ),
    refused(
        "an extension without end", chunked(b"10;" + b"a" * 70_000), whole_only=True, hits="max_head_bytes"
    ),
    refused("zeros without end", chunked(b"0" * 70_000), whole_only=True, hits="max_head_bytes"),
    refused(
        "trailers without end",
        chunked(b"0\r\n" + b"X: a\r\n" * 12_000),
        whole_only=True,
        hits="max_head_bytes",
    ),
    refused(
        "a long extension with each byte",
        chunked(b"1;" + b"a" * 500 + b"\r\n{\r\n" + (b"1;" + b"a" * 500 + b"\r\n \r\n") * 4),
        settings={"maxHeadBytes": KIB},
        hits="max_head_bytes",
    ),
)

DOCUMENTS: tuple[Case, ...] = (
    passed(
        "as deep as allowed",
        post(body=document(a=[[[]]])),
        body=document(a=[[[]]]),
        settings={"maxJsonDepth": 4},
    ),
    answered(
        "one deeper",
        post(body=document(a=[[[[]]]])),
        400,
        "invalid_body",
        settings={"maxJsonDepth": 4},
        hits="max_json_depth",
    ),
    answered(
        "deeper than by default",
        post(body=BODY[:-1] + b',"a":' + b"[" * 64 + b"]" * 64 + b"}"),
        400,
        "invalid_body",
        hits="max_json_depth",
    ),
    answered(
        "deep objects",
        post(body=BODY[:-1] + b',"a":' + b'{"a":' * 64 + b"1" + b"}" * 64 + b"}"),
        400,
        "invalid_body",
        hits="max_json_depth",
    ),
    answered(
        "deeper than any parser goes",
        post(body=BODY[:-1] + b',"a":' + b"[" * 2000 + b"]" * 2000 + b"}"),
        400,
        "invalid_body",
    ),
    answered(
        "a million empty lists",
        post(body=BODY[:-1] + b',"a":[' + b"[]," * 500_000 + b"[]]}"),
        400,
        "invalid_body",
    ),
    passed(
        "a million commas in a string",
        post(body=BODY[:-1] + b',"a":"' + b"," * 1_100_000 + b'"}'),
        body=BODY[:-1] + b',"a":"' + b"," * 1_100_000 + b'"}',
    ),
    passed("wide, not deep", post(body=document(a=[[]] * 200)), body=document(a=[[]] * 200)),
    passed("brackets in a string", post(body=document(a="[{" * 200)), body=document(a="[{" * 200)),
    passed("a number as long as allowed", post(body=document(seed=10**63)), body=document(seed=10**63)),
    answered(
        "a number of one digit more",
        post(body=document(seed=10**64)),
        400,
        "invalid_body",
        hits="max_number_digits",
    ),
    answered(
        "a fraction too long",
        post(body=BODY[:-1] + b',"t":0.' + b"1" * 64 + b"}"),
        400,
        "invalid_body",
        hits="max_number_digits",
    ),
    answered(
        "a long number deep inside",
        post(body=document(a=[{"b": 10**64}])),
        400,
        "invalid_body",
        hits="max_number_digits",
    ),
    passed("digits in a string", post(body=document(a="1" * 500)), body=document(a="1" * 500)),
    answered("a number too great", post(body=BODY[:-1] + b',"t":1e999}'), 400, "invalid_body"),
    answered("not a number", post(body=BODY[:-1] + b',"t":NaN}'), 400, "invalid_body"),
)

CONNECTIONS: tuple[Case, ...] = (
    Case(
        "more requests sent ahead than allowed wait, and are answered",
        post(body=NEXT) * 20,
        (Told(200),) * 20,
        (Got(body=NEXT),) * 20,
        settings={"maxPipelined": 4},
        hits="max_pipelined",
        whole_only=True,
    ),
    Case(
        "as many as allowed",
        post(body=NEXT) * 4,
        (Told(200),) * 4,
        (Got(body=NEXT),) * 4,
        settings={"maxPipelined": 4},
        whole_only=True,
    ),
    Case(
        "hundreds that need no engine",
        (MODELS + HOST + b"\r\n") * 300,
        (Told(200),) * 300,
        whole_only=True,
    ),
    Case(
        "rubbish behind a good one is answered after it",
        post() + b"rubbish\r\n\r\n",
        (Told(200), Told(400, "bad_request")),
        (Got(),),
        goes_on=False,
        whole_only=True,
    ),
    Case(
        "a refusal that keeps the connection, between two good ones",
        post() + b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n" + post(body=OTHER),
        (Told(200), Told(404, "unknown_url"), Told(200)),
        (Got(), Got(body=OTHER)),
        whole_only=True,
    ),
)


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case.name)
async def test_heads(case: Case, stack: Stack) -> None:
    await check(case, stack)


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case.name)
async def test_bodies(case: Case, stack: Stack) -> None:
    await check(case, stack)


@pytest.mark.parametrize("case", DOCUMENTS, ids=lambda case: f"json: {case.name}")
async def test_documents(case: Case, stack: Stack) -> None:
    await check(case, stack)


@pytest.mark.parametrize("case", CONNECTIONS, ids=lambda case: f"pipelined: {case.name}")
async def test_pipelined(case: Case, stack: Stack) -> None:
    await check(case, stack)
