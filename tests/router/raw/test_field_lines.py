"""Host and the form of every other field: one line, one name, one colon, one value."""

import pytest

from tests.router.raw.case import HOST, LINE, MODELS, SMUGGLED, Case, bare, check, passed, post, refused
from tests.router.stack import Stack


def hosted(*lines: bytes) -> bytes:
    """A request with these Host lines and no others."""
    return post(host=b"".join(line + b"\r\n" for line in lines))


HOSTS: tuple[Case, ...] = (
    passed("a name", hosted(b"Host: api.example")),
    passed("a name with a port", hosted(b"Host: api.example:8443")),
    passed("an address", hosted(b"Host: 127.0.0.1:8080")),
    passed("an IPv6 address", hosted(b"Host: [::1]:8080")),
    passed("a field in lower case without a space", hosted(b"host:api.example")),
    refused("none", hosted()),
    refused("two", hosted(b"Host: a", b"Host: b")),
    refused("the same twice", hosted(b"Host: a", b"Host: a")),
    refused("two, in two spellings", hosted(b"Host: a", b"HOST: b")),
    refused("a list", hosted(b"Host: a, b")),
    refused("two in one field", hosted(b"Host: a b")),
    refused("an empty one", hosted(b"Host:")),
    refused("an empty one with a space", hosted(b"Host: ")),
    refused("one with a path", hosted(b"Host: a/b")),
    refused("one with a query", hosted(b"Host: a?b")),
    refused("one with a scheme", hosted(b"Host: http://a")),
    refused("one with a user", hosted(b"Host: user@a")),
    refused("one with a port that is none", hosted(b"Host: a:b")),
    refused("one with a port too long", hosted(b"Host: a:123456")),
    refused("one with an open bracket", hosted(b"Host: [::1")),
    refused("one with a percent sign", hosted(b"Host: a%2fb")),
    refused("one with a backslash", hosted(b"Host: a\\b")),
    refused("one above ASCII", hosted("Host: bücher.example".encode())),
    refused("one after a tab", hosted(b"Host:\ta")),
    refused("one with a space behind it", hosted(b"Host: a ")),
    refused("one whose name has a space before the colon", hosted(b"Host : a")),
    refused("one on a folded line", hosted(b"Host:\r\n a")),
    refused("one in front of another request line", hosted(b"Host: a\r\nGET /v1/models HTTP/1.1")),
)

FIELDS: tuple[Case, ...] = (
    passed("a value without a space", post(b"X-A:b"), ("x-a", "b")),
    passed("a value within white space, which goes", post(b"X-A: \t b c \t "), ("x-a", "b c")),
    passed("an empty value", post(b"X-A:"), ("x-a", "")),
    passed("a value with bytes above ASCII", post(b"X-A: \xe9\xff"), ("x-a", "\xe9\xff")),
    passed("a value with a colon", post(b"X-A: b: c"), ("x-a", "b: c")),
    passed("a value with a tab", post(b"X-A: b\tc"), ("x-a", "b\tc")),
    passed("a name of odd but allowed characters", post(b"X!#$%&'*+-.^`|~9: b"), ("x!#$%&'*+-.^`|~9", "b")),
    passed("the same name twice", post(b"X-A: b", b"X-A: c"), ("x-a", "b"), ("x-a", "c")),
    refused("a space before the colon", post(b"X-A : b")),
    refused("a tab before the colon", post(b"X-A\t: b")),
    refused("a space within the name", post(b"X A: b")),
    refused("a folded line", post(b"X-A: b\r\n c")),
    refused("a line folded with a tab", post(b"X-A: b\r\n\tc")),
    refused("a first line folded", LINE + b" X: y\r\n" + HOST + b"Content-Length: 0\r\n\r\n"),
    refused("a line without a colon", post(b"X-A b")),
    refused("an empty name", post(b": b")),
    refused("a name with a NUL", post(b"X\x00A: b")),
    refused("a name with a control character", post(b"X\x1fA: b")),
    refused("a name above ASCII", post(b"X\xe9: b")),
    refused("a name with a slash", post(b"X/A: b")),
    refused("a name in quotes", post(b'"X-A": b')),
    refused("a name in brackets", post(b"X(A): b")),
    refused("a name with an underscore", post(b"X_Forwarded_For: 1.2.3.4")),
    refused("a value with a NUL", post(b"X-A: b\x00c")),
    refused("a value with a control character", post(b"X-A: b\x01c")),
    refused("a value with a DEL", post(b"X-A: b\x7fc")),
    refused("a value with a backspace", post(b"X-A: b\x08c")),
    refused("a value with an escape", post(b"X-A: b\x1b[2J")),
    refused("a bare CR in a value", post(b"X-A: b\rX-B: c")),
    refused("a bare LF in a value", post(b"X-A: b\nX-B: c")),
    refused("a line that ends in CR CR LF", post(b"X-A: b\r")),
    refused("a head that ends in LF LF", MODELS + b"Host: a\r\nX-A: b\n\n"),
    refused("a head that ends in LF CR LF", MODELS + b"Host: a\r\nX-A: b\n\r\n"),
    refused("a head that ends in CR LF LF", MODELS + b"Host: a\r\nX-A: b\r\n\n"),
    refused("a request hidden behind CR LF LF", MODELS + b"Host: a\r\nX-A: b\r\n\n" + SMUGGLED),
    refused("a request within a field", bare(b"X-A: b\r\n\rGET /v1/models HTTP/1.1")),
)


@pytest.mark.parametrize("case", HOSTS, ids=lambda case: f"host: {case.name}")
async def test_hosts(case: Case, stack: Stack) -> None:
    await check(case, stack)


@pytest.mark.parametrize("case", FIELDS, ids=lambda case: case.name)
async def test_fields(case: Case, stack: Stack) -> None:
    await check(case, stack)
