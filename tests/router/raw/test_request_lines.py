"""The first line: one method, one path, one version, one space between them."""

import pytest

from tests.router.raw.case import (
    HOST,
    LINE,
    MODELS,
    Case,
    Told,
    answered,
    bare,
    check,
    passed,
    post,
    refused,
)
from tests.router.stack import Stack

VERSION = (505, "http_version")


def line(data: bytes) -> bytes:
    """A whole head with this first line."""
    return data + b"\r\n" + HOST + b"\r\n"


CASES: tuple[Case, ...] = (
    answered("the plainest of requests", line(b"GET /v1/models HTTP/1.1"), 200, None),
    answered("an empty line in front", b"\r\n" + line(b"GET /v1/models HTTP/1.1"), 200, None),
    refused("two empty lines in front", b"\r\n\r\n" + line(b"GET /v1/models HTTP/1.1")),
    refused("a bare LF in front", b"\n" + line(b"GET /v1/models HTTP/1.1")),
    refused("a bare CR in front", b"\r" + line(b"GET /v1/models HTTP/1.1")),
    refused("a space in front", b" " + line(b"GET /v1/models HTTP/1.1")),
    refused("a byte order mark in front", b"\xef\xbb\xbf" + line(b"GET /v1/models HTTP/1.1")),
    # Versions
    Case(
        "HTTP/1.0, which gets a plain body and the connection's end",
        LINE.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\nContent-Length: 2\r\n\r\n[]",
        (Told(400, "invalid_body"),),
        goes_on=False,
    ),
    refused("HTTP/0.9, without a version", line(b"GET /v1/models"), *VERSION),
    refused("HTTP/0.9 by name", line(b"GET /v1/models HTTP/0.9"), *VERSION),
    refused("HTTP/1.2", line(b"GET /v1/models HTTP/1.2"), *VERSION),
    refused("HTTP/1.9", line(b"GET /v1/models HTTP/1.9"), *VERSION),
    refused("HTTP/2.0", line(b"GET /v1/models HTTP/2.0"), *VERSION),
    refused("HTTP/2", line(b"GET /v1/models HTTP/2"), *VERSION),
    refused("HTTP/3.0", line(b"GET /v1/models HTTP/3.0"), *VERSION),
    refused("the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", *VERSION, whole_only=True),
    refused("HTTP/1.1 in lower case", line(b"GET /v1/models http/1.1")),
    refused("a version of two digits", line(b"GET /v1/models HTTP/1.10")),
    refused("a version with a plus", line(b"GET /v1/models HTTP/+1.1")),
    refused("another protocol", line(b"GET /v1/models RTSP/1.0")),
    refused("words behind the version", line(b"GET /v1/models HTTP/1.1 evil")),
    refused("a space behind the version", line(b"GET /v1/models HTTP/1.1 ")),
    # White space
    refused("two spaces before the path", line(b"GET  /v1/models HTTP/1.1")),
    refused("two spaces behind the path", line(b"GET /v1/models  HTTP/1.1")),
    refused("a tab before the path", line(b"GET\t/v1/models HTTP/1.1")),
    refused("a tab behind the path", line(b"GET /v1/models\tHTTP/1.1")),
    refused("a form feed before the path", line(b"GET\x0c/v1/models HTTP/1.1")),
    refused("a space within the path", line(b"GET /v1/ models HTTP/1.1")),
    refused("a line that ends in a bare LF", b"GET /v1/models HTTP/1.1\n" + HOST + b"\r\n"),
    refused("a line that ends in a bare CR", b"GET /v1/models HTTP/1.1\r" + HOST + b"\r\n"),
    refused("a line that ends in CR CR LF", b"GET /v1/models HTTP/1.1\r\r\n" + HOST + b"\r\n"),
    refused("all lines end in a bare LF", b"GET /v1/models HTTP/1.1\nHost: a\n\n"),
    # Methods
    refused("a method in lower case", line(b"get /v1/models HTTP/1.1")),
    refused("a method nobody knows", line(b"BREW /v1/models HTTP/1.1")),
    refused("a method with a control character", line(b"GE\x01T /v1/models HTTP/1.1")),
    refused("a method without end", b"A" * 200),
    refused("a method and nothing else", line(b"GET")),
    answered(
        "a known method that the path doesn't take",
        line(b"DELETE /v1/models HTTP/1.1"),
        405,
        "method_not_allowed",
    ),
    answered("TRACE is no exception", line(b"TRACE /v1/models HTTP/1.1"), 405, "method_not_allowed"),
    answered(
        "OPTIONS of a path, where no pages are allowed",
        line(b"OPTIONS /v1/models HTTP/1.1"),
        405,
        "method_not_allowed",
    ),
    Case(
        "HEAD, which gets no body",
        line(b"HEAD /v1/models HTTP/1.1"),
        (Told(405, fields={"allow": "GET", "content-type": "application/json"}, to_head=True),),
    ),
    # Targets
    refused("absolute form", line(b"GET http://evil/v1/models HTTP/1.1")),
    refused("absolute form of our own host", line(b"GET http://api.example/v1/models HTTP/1.1")),
    refused("absolute form of another scheme", line(b"GET ftp://evil/v1/models HTTP/1.1")),
    refused("authority form", line(b"CONNECT evil:443 HTTP/1.1")),
    refused("authority form with another method", line(b"GET evil:443 HTTP/1.1")),
    refused("asterisk form", line(b"OPTIONS * HTTP/1.1")),
    refused("asterisk form with another method", line(b"GET * HTTP/1.1")),
    refused("CONNECT to a path", line(b"CONNECT /v1/models HTTP/1.1"), 405, "method_not_allowed"),
    refused("a path that doesn't begin with a slash", line(b"GET v1/models HTTP/1.1")),
    refused("a query without a path", line(b"GET ?a HTTP/1.1")),
    refused("a fragment", line(b"GET /v1/models#evil HTTP/1.1")),
    refused("a backslash in the path", line(b"GET /v1\\models HTTP/1.1")),
    refused("a backslash in the query", line(b"GET /v1/models?a=\\ HTTP/1.1")),
    refused("a NUL in the path", line(b"GET /v1/\x00models HTTP/1.1")),
    refused("a raw byte in the path", line(b"GET /v1/mod\xe9ls HTTP/1.1")),
    refused("an angle bracket in the path", line(b"GET /v1/<models> HTTP/1.1")),
    refused(
        "TLS on the plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", whole_only=True
    ),
    refused("a line of rubbish", b"rubbish\r\n\r\n", whole_only=True),
    passed(
        "a query, which goes along",
        post(line=LINE.replace(b" HTTP", b"?beta=true&x=%2e HTTP")),
        path="/v1/chat/completions?beta=true&x=%2e",
    ),
    passed("an empty query", post(line=LINE.replace(b" HTTP", b"? HTTP")), path="/v1/chat/completions?"),
    passed(
        "a query with question marks",
        post(line=LINE.replace(b" HTTP", b"??a=? HTTP")),
        path="/v1/chat/completions??a=?",
    ),
    refused("a line that stands alone", MODELS + b"\r\n"),
    refused("a request without an end to its line, then another", bare(line=b"POST /v1/chat/completions ")),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_request_lines(case: Case, stack: Stack) -> None:
    await check(case, stack)
