"""Engines whose heads contradict themselves, never end, or are no HTTP/1.1 at all."""

from tests.router.engines.case import Case, broken, passes
from tests.router.engines.rough import CHUNKED, RIGHT, answer, head, pours, rightly, says

_TWO = "content-length: 2"
_MANY = [f"x-{n}: 1" for n in range(150)]
_STATUS = b"HTTP/1.1 200 OK\r\n"


def odd(*fields: str, body: bytes = b"{}", status: str = "200 OK", version: str = "HTTP/1.1") -> bytes:
    return head(*fields, status=status, version=version) + body


CASES: list[Case] = [
    broken("it speaks SSH", says(b"SSH-2.0-OpenSSH_9.2\r\n")),
    broken("it sends the frames of HTTP/2", says(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\x00" * 18)),
    broken("it sends the preface of HTTP/2", says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
    broken("it sends a TLS alert", says(b"\x15\x03\x01\x00\x02\x02\x46")),
    broken("it answers as HTTP/2.0", says(odd(_TWO, version="HTTP/2.0"))),
    broken("it answers as HTTP/0.9, a body alone", says(b"<html>hello</html>")),
    broken("it answers as HTTP/1.2", says(odd(_TWO, version="HTTP/1.2"))),
    broken("it sends a request", says(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")),
    broken("its status is 99", says(odd(_TWO, status="99 Low"))),
    broken("its status is 600", says(odd(_TWO, status="600 High"))),
    broken("its status is no number", says(odd(_TWO, status="OK 200"))),
    broken("it redirects", says(odd(_TWO, "location: http://10.0.0.1/", status="307 Elsewhere"))),
    broken("it switches protocols", says(odd("connection: upgrade", "upgrade: x", status="101 Switching"))),
    broken("it informs without end", pours(b"", b"HTTP/1.1 102 Processing\r\n\r\n")),
    broken("it sends empty lines without end", pours(b"", b"\r\n" * 100), "maxHeadBytes"),
    broken("its reason phrase never ends", pours(b"HTTP/1.1 200 ", b"O" * 999), "maxHeadBytes"),
    broken("a field's name never ends", pours(_STATUS, b"x" * 999), "maxHeadBytes"),
    broken("a field's value never ends", pours(_STATUS + b"x: ", b"y" * 999), "maxHeadBytes"),
    broken("its fields never end", pours(_STATUS, b"x: y\r\n" * 99), "maxHeadBytes"),
    broken("its head is huge, and whole", says(odd("x: " + "y" * 200_000, _TWO)), "maxHeadBytes"),
    broken("its fields are many", says(odd(*_MANY, _TWO)), "maxHeaders"),
    broken("it has two lengths", says(odd(_TWO, "content-length: 3"))),
    broken("it has the same length twice", says(odd(_TWO, _TWO))),
    broken("its length is a list", says(odd("content-length: 2, 2"))),
    broken("its length is negative", says(odd("content-length: -2"))),
    broken("its length has a sign", says(odd("content-length: +2"))),
    broken("its length is in hex", says(odd("content-length: 0x2"))),
    broken("its length is beyond all numbers", says(odd("content-length: 99999999999999999999999"))),
    broken("its length is empty", says(odd("content-length:"))),
    broken("it has a length and chunks", says(odd(_TWO, "transfer-encoding: chunked", body=b"0\r\n\r\n"))),
    broken("it has chunks and a length", says(odd("transfer-encoding: chunked", _TWO, body=b"0\r\n\r\n"))),
    broken("its transfer is gzip, then chunked", says(odd("transfer-encoding: gzip, chunked"))),
    broken("its transfer is chunked twice", says(odd("transfer-encoding: chunked, chunked"))),
    broken("its transfer is identity", says(odd("transfer-encoding: identity"))),
    broken("its transfer is xchunked", says(odd("transfer-encoding: xchunked"))),
    broken("it has chunks in HTTP/1.0", says(odd("transfer-encoding: chunked", version="HTTP/1.0"))),
    broken("its body is gzip", says(odd("content-encoding: gzip", _TWO))),
    broken("it has two kinds of content", says(odd("content-type: a/b", "content-type: c/d", _TWO))),
    broken("it folds a line", says(odd("x: a", " b", _TWO))),
    broken("it has a space before the colon", says(odd("content-length : 2"))),
    broken("it has a NUL in a value", says(odd("x: a\0b", _TWO))),
    broken("it has a bare CR in a value", says(odd("x: a\rb", _TWO))),
    broken("its JSON ends where the connection does", says(odd("content-type: application/json"))),
    broken("its events end where the connection does", says(odd("content-type: text/event-stream"))),
    passes(
        "early hints first", rightly(head("link: </x>", status="103 Hints") + answer(RIGHT)), RIGHT, kept=True
    ),
    passes("100 first", rightly(head(status="100 Continue") + answer(RIGHT)), RIGHT, kept=True),
    passes("a body behind 204", rightly(head(status="204 None") + b"surplus"), b"", status=204, kept=False),
    passes("it sends more than its length", rightly(answer(RIGHT) + b"surplus"), RIGHT, kept=False),
    passes("it sends more after its last chunk", rightly(CHUNKED + b"0\r\n\r\nx"), b"", kept=False),
    passes("it answers twice", rightly(answer(RIGHT) + answer(b"wrong")), RIGHT, kept=False),
    passes("it answers again a moment later", rightly(answer(RIGHT), answer(b"wrong")), RIGHT, kept=False),
]
