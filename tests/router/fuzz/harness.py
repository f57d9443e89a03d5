"""A router between two scripts, a client's bytes and its engine's, without sockets.

What goes over either wire is read again by h11, which is stricter than llhttp and not ours: so a message
that two parsers could understand differently shows up here. Knows how the router is put together, not how it
parses.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any, cast

import h11

from pointsman_router.answering.downstream import Downstream
from pointsman_router.engines.pool import Pool
from pointsman_router.engines.upstream import Connection
from pointsman_router.records.accesslog import AccessLog
from pointsman_router.router import Router
from pointsman_router.routes import ROUTES
from tests.router.stack import configuration, service, variant

SECRET = b"sk-secret-of-the-client"
PATHS = {route.path for route in ROUTES}
PRIVATE = {b"authorization", b"x-api-key", b"api-key", b"cookie", b"connection", b"transfer-encoding", b"te"}
"""Fields that never go to an engine."""


class Wire:
    """One end of a connection, as a transport: keeps what was written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closing = False
        self.ended = False

    def write(self, data: bytes) -> None:
        assert not self.closing, "written after the end"
        self.written += data

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("203.0.113.7", 40000) if name == "peername" else _Socket()


class _Socket:
    def setsockopt(self, *option: object) -> None:
        pass

    def fileno(self) -> int:
        return -1  # nothing can be asked of the kernel


class Engine:
    """Answers every request with the same script, in pieces."""

    def __init__(self, script: bytes, piece: int) -> None:
        self.script = script
        self.piece = piece
        self.open: list[tuple[Wire, Connection]] = []
        self.wires: list[Wire] = []
        self.answered: dict[Wire, int] = {}
        """How much of what a connection got has been answered."""

    def connect_of(self) -> Any:
        """What stands in for `Pool.connect`."""

        def connect(pool: Pool, taker: Any, *_: object) -> None:
            wire, connection = Wire(), Connection(pool)
            connection.connection_made(cast(Any, wire))
            self.wires.append(wire)
            self.open.append((wire, connection))
            taker.connected(connection)

        return connect

    def work(self) -> None:
        """Plays the script on each connection that got something since; ends those the router has left."""
        busy = True
        while busy:
            busy = False
            for wire, connection in tuple(self.open):
                if not wire.closing and len(wire.written) > self.answered.get(wire, 0):
                    self.answered[wire] = len(wire.written)
                    self._play(wire, connection)
                    busy = True
                if wire.closing:
                    self._end(wire, connection)

    def stop(self) -> None:
        """Ends every connection."""
        for wire, connection in tuple(self.open):
            if not wire.closing:
                connection.eof_received()
            self._end(wire, connection)

    def _play(self, wire: Wire, connection: Connection) -> None:
        for at in range(0, len(self.script), self.piece):
            if not wire.closing:
                connection.data_received(self.script[at : at + self.piece])

    def _end(self, wire: Wire, connection: Connection) -> None:
        self.open.remove((wire, connection))
        connection.connection_lost(None)


class Loud(Router):
    """A router whose own faults are failures."""

    __slots__ = ()

    def failed(self, what: str) -> None:
        raise AssertionError(what)


async def converse(client: bytes, script: bytes, piece: int) -> tuple[bytes, list[bytes]]:
    """Gives the router a client's bytes and engines' answers, `piece` bytes at a time; checks that nothing is
    left over afterwards. Returns what the client got, and what each engine connection got."""
    router, engine = Loud(AccessLog(None)), Engine(script, piece)
    document = configuration(
        service("chat", variant("v", "192.0.2.1:8000"), names=["chat", "alias"], engine_model="chat")
    )
    assert router.state.apply_config(document), router.state.error
    router.state.replace_slices({})
    original = Pool.connect
    Pool.connect = engine.connect_of()  # type: ignore[method-assign]
    try:
        wire, downstream = Wire(), router.accept()
        downstream.connection_made(cast(Any, wire))
        for at in range(0, len(client), piece):
            if not wire.closing:
                downstream.data_received(client[at : at + piece])
                engine.work()
        await _leave(downstream, wire)
        engine.work()
        engine.stop()
    finally:
        Pool.connect = original  # type: ignore[method-assign]
    _nothing_left(router)
    return bytes(wire.written), [bytes(one.written) for one in engine.wires]


async def _leave(downstream: Downstream, wire: Wire) -> None:
    await asyncio.sleep(0)
    if not wire.closing:
        downstream.eof_received()
    downstream.connection_lost(None)


def _nothing_left(router: Router) -> None:
    assert not router.connections
    for one in router.state.engines:
        assert one.in_flight == 0, "a request is counted that has ended"
        assert one.pool.open == len(one.pool.idle), "a connection is neither idle nor gone"
    for stats in router.stats.variants.values():
        assert stats.in_flight == 0


def requests_in(data: bytes) -> Iterator[tuple[h11.Request, bytes]]:
    """The requests an engine would read. Raises h11.RemoteProtocolError for what it wouldn't."""
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reader.receive_data(data)
    request, body = None, b""
    while True:
        event = reader.next_event()
        if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            assert request is None, "an unfinished request was sent"
            return
        if isinstance(event, h11.Request):
            request, body = event, b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None
            yield request, body
            request = None
            reader.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            reader.send(h11.EndOfMessage())
            reader.start_next_cycle()


def check_engine_side(data: bytes) -> int:
    """Everything that must hold of the bytes one engine connection got. Returns how many requests it was."""
    if not data:
        return 0
    count = 0
    for request, _ in requests_in(data):
        count += 1
        path = bytes(request.target).partition(b"?")[0]
        assert path in PATHS, path
        names = [bytes(name) for name, _ in request.headers]
        assert names.count(b"host") == 1
        assert names.count(b"content-length") == 1
        assert not PRIVATE.intersection(names), names
        assert not any(name.startswith(b"x-pointsman-") for name in names)
    return count


def check_secret(client: bytes, reached: list[bytes]) -> None:
    """A credential in its own header goes no further. (Under a mutated name it's an ordinary value.)"""
    if SECRET not in client.replace(b"\r\nAuthorization: Bearer " + SECRET + b"\r\n", b""):
        assert not any(SECRET in data for data in reached), "a client's credential went to an engine"


def check_client_side(data: bytes, methods: list[bytes]) -> None:
    """What the client got is a sequence of whole answers, the last of which may be cut."""
    rest = data
    for method in methods if data else ():
        reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        reader.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
        reader.send(h11.EndOfMessage())
        reader.receive_data(rest)
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return
        rest = reader.trailing_data[0]
        if not rest:
            return
    assert not rest, f"more was sent than {len(methods)} answers: {rest[:80]!r}"


def methods_of(client: bytes) -> list[bytes]:
    """Upper bound of the answers a client's bytes can lead to, as GETs: HEAD is kept out of the samples."""
    return [b"GET"] * (len(re.findall(rb"HTTP/", client)) + 2)
