"""Well-formed and ill-formed messages to start from, and how a fuzzer's bytes become a conversation."""

from tests.router.fuzz.harness import SECRET

BODY = b'{"model":"chat","messages":[{"role":"user","content":"Hi"}]}'
ALIAS = b'{"messages":[{"role":"user","content":"\\"model\\""}],"model":"alias","stream":true}'
HEAD = b"Host: a\r\nAuthorization: Bearer " + SECRET + b"\r\n"


def post(body: bytes, *lines: bytes, path: bytes = b"/v1/chat/completions") -> bytes:
    """A request as a client would write it, with further header lines."""
    further = b"".join(line + b"\r\n" for line in lines)
    head = b"POST " + path + b" HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n" + further
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes, *lines: bytes) -> bytes:
    """The same with a chunked body, an extension and a trailer."""
    further = b"".join(line + b"\r\n" for line in lines)
    half = len(body) // 2
    head = b"POST /v1/chat/completions HTTP/1.1\r\n" + HEAD + further + b"Transfer-Encoding: chunked\r\n\r\n"
    first = b"%x;name=value\r\n%b\r\n" % (half, body[:half])
    return head + first + b"%x\r\n%b\r\n0\r\nX-Api-Key: a\r\n\r\n" % (len(body) - half, body[half:])


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n'
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nalias\r\n--b--\r\n'
)

REQUESTS = [
    post(BODY),
    post(ALIAS, b"X-Pointsman-Timeout: 5", b"Cookie: a=b", b"X-Forwarded-For: 10.0.0.1"),
    chunked(BODY),
    chunked(ALIAS, b"Connection: keep-alive, X-Foo", b"X-Foo: bar"),
    post(BODY, b"Expect: 100-continue"),
    post(
        BODY,
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ),
    post(BODY, path=b"/v1/%63hat/../chat/completions"),
    post(BODY, b"Transfer-Encoding: chunked"),
    post(BODY, b"Content-Length: 5"),
    b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Content-Length: %d\r\n\r\n" % len(FORM) + FORM,
    b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\n"
    b"Access-Control-Request-Method: POST\r\n\r\n",
    b"POST http://b/v1/chat/completions HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]
EVENTS = b'data: {"choices":[]}\n\ndata: [DONE]\n\n'
ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"%x;e=1\r\n%b\r\n0\r\nT: 1\r\n\r\n" % (len(EVENTS), EVENTS),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nServer: x\r\nSet-Cookie: a=b\r\n\r\n{}",
    b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
]
BETWEEN = b"\xff\xfe"
"""Between a client's bytes and an engine's, in one fuzzer's input; the first byte says how it is cut up."""


def split(data: bytes) -> tuple[bytes, bytes, int]:
    """A fuzzer's bytes as a client's script, an engine's, and the size of the pieces both come in."""
    if not data:
        return b"", ANSWERS[0], 1
    client, _, engine = data[1:].partition(BETWEEN)
    return client, engine or ANSWERS[0], data[0] + 1 if data[0] < 255 else 1 << 20


def corpus() -> list[bytes]:
    """Inputs to start from: every request with an answer, and some in a row."""
    pairs = [
        bytes([255]) + request + BETWEEN + ANSWERS[at % len(ANSWERS)] for at, request in enumerate(REQUESTS)
    ]
    answers = [bytes([7]) + REQUESTS[0] + BETWEEN + answer for answer in ANSWERS]
    return [*pairs, *answers, bytes([255]) + b"".join(REQUESTS[:4])]
