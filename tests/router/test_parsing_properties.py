"""Whatever comes, in whatever pieces: it means the same, and nothing escapes the parsers' users."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pointsman_router.clients.reader import Reader
from pointsman_router.clients.request import Budget, Request
from pointsman_router.engines.pool import Pool
from pointsman_router.engines.response import Fault, Receiver, Response
from pointsman_router.engines.upstream import Connection
from pointsman_router.errors import Problem
from pointsman_router.settings import Limits

BODY = b'{"model":"chat"}'
REQUESTS = [
    b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\n" + BODY,
    b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10;e=1\r\n"
    + BODY
    + b"\r\n0\r\nT: 1\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 16\r\n\r\n"
    + BODY,
    b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
    b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET http://b/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"rubbish\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + BODY,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10;e=1\r\n" + BODY + b"\r\n0\r\nT: 1\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    b"rubbish",
]


@st.composite
def _mutated(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A few samples in a row, with a few bytes changed, dropped or doubled."""
    data = b"".join(draw(st.lists(st.sampled_from(samples), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    return data


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True) if a < b]


class _Owner:
    """Writes down what a reader says."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def admit(self, request: Request) -> Problem | None:
        self.said.append(("admit", request.method, request.path))
        return None

    def proceed(self) -> None:
        self.said.append("proceed")

    def received(self, request: Request) -> None:
        self.said.append((request.method, request.path, request.lines, request.body, request.keep_alive))

    def surplus(self) -> None:
        raise AssertionError("nobody has the reader wait")

    def refused(self, problem: Problem, request: Request) -> None:
        assert 400 <= problem.status < 600
        self.said.append(problem.status)


def _read(pieces: list[bytes]) -> list[Any]:
    owner = _Owner()
    reader = Reader(owner, Limits(max_body_bytes=1000), Budget())
    for piece in pieces:
        reader.feed(piece)
    return owner.said


@settings(max_examples=300)
@given(_mutated(REQUESTS), st.lists(st.integers(0, 2000), max_size=8))
@example(REQUESTS[3] + REQUESTS[3], list(range(250)))
def test_a_request_means_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    assert _read(_pieces(data, cuts)) == _read([data])


@settings(max_examples=200)
@given(_mutated(REQUESTS))
@example(REQUESTS[3] + REQUESTS[8])
def test_nothing_is_read_after_a_refusal(data: bytes) -> None:
    said = _read([data])
    refusals = [at for at, what in enumerate(said) if isinstance(what, int)]
    assert refusals in ([], [len(said) - 1])


def test_many_offers_to_upgrade_need_no_deep_stack() -> None:
    said = _read([REQUESTS[3] * 2000])
    assert len([what for what in said if what[0] == b"POST"]) == 2000


class _Transport:
    closing = False

    def write(self, data: bytes) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> Any:
        return self

    def fileno(self) -> int:
        return -1  # nothing can be asked of the kernel


class _Taker:
    """Writes down what a connection says."""

    def __init__(self) -> None:
        self.head: Any = None
        self.body = b""
        self.ending = ""

    def connected(self, connection: Connection) -> None:
        raise AssertionError

    def unreachable(self, error: Exception) -> None:
        raise AssertionError

    def answered(self, response: Response) -> Receiver | None:
        assert self.head is None
        self.head = (response.status, response.lines, response.length)
        return self

    def relay(self, data: bytes) -> None:
        assert self.head is not None
        assert not self.ending
        self.body += data

    def chunk(self, data: bytes, size: int) -> bool:
        self.relay(data[-2 - size : -2])
        return True

    def completed(self, data: bytes) -> None:
        self.relay(data)
        self.ending = "complete"

    def broken(self, fault: Fault, untouched: bool) -> None:
        assert not self.ending
        self.ending = "broken"


def _answer(pieces: list[bytes]) -> tuple[Any, bytes, str, int]:
    pool = Pool("a", 1)
    connection, taker = Connection(pool), _Taker()
    connection.connection_made(_Transport())  # type: ignore[arg-type]
    connection.send(taker, b"", b"")
    for piece in pieces:
        if connection.usable:
            connection.data_received(piece)
    connection.eof_received()
    connection.connection_lost(None)
    assert taker.ending, "one way or the other it ends"
    return taker.head, taker.body, taker.ending, len(pool.idle)


@settings(max_examples=300)
@given(_mutated(RESPONSES), st.lists(st.integers(0, 2000), max_size=8))
def test_a_response_means_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    whole, cut = _answer([data]), _answer(_pieces(data, cuts))
    assert cut[2] == whole[2]
    if whole[2] == "complete":
        assert cut == whole


@pytest.mark.parametrize("data", [RESPONSES[0], RESPONSES[1]], ids=["length", "chunks"])
def test_every_single_cut_of_a_response_is_harmless(data: bytes) -> None:
    for at in range(len(data)):
        head, body, ending, _ = _answer([data[:at], data[at:]] if at else [data])
        assert (head[0], body, ending) == (200, BODY, "complete")


SPELLINGS = (b"%x", b"%X", b"0%x", b"%x;ext=1", b"%x ", b"+%x", b"0x%x", b"%x_", b"%x\r")
"""Of a chunk's size; only the first is how we would write it."""
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(SPELLINGS),
            st.sampled_from([b"data: a\n\n", b"data: 12345678901234567890\n\n", b"\n\n", b"5\r\ndata\n\n"]),
            st.integers(-1, 1),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_a_chunk_that_passes_by_the_parser_means_what_the_parser_says(
    chunks: list[tuple[bytes, bytes, int]], together: bool
) -> None:
    framed = [spelling % (len(data) + off) + b"\r\n" + data + b"\r\n" for spelling, data, off in chunks]
    reads = [STREAM_HEAD, *framed, b"0\r\n\r\n"]
    slow = _answer([bytes([byte]) for read in reads for byte in read])
    assert _answer([b"".join(reads)] if together else reads)[1:3] == slow[1:3]


def test_what_looks_like_a_chunk_but_is_the_rest_of_one_goes_through_the_parser() -> None:
    # The size is 1c; its second digit and what follows would make a chunk of their own.
    reads = [
        STREAM_HEAD,
        b"9\r\ndata: 1\n\n\r\n1",
        b"c\r\ndata: abcd\n\n\r\n",
        b"data: rest\n\n--\r\n0\r\n\r\n",
    ]
    _, body, ending, _ = _answer(reads)
    assert (body, ending) == (b"data: 1\n\ndata: abcd\n\n\r\ndata: rest\n\n--", "complete")
