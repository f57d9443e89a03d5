"""When a connection to an engine may be used again: only when it's silent, as far as the kernel knows."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pointsman_router.engines.pool import Pool
from pointsman_router.engines.upstream import Connection
from pointsman_router.settings import Limits


class _Transport:
    """A transport over a real socket, which reads nothing by itself."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.aborted = False

    def get_extra_info(self, name: str) -> Any:
        return self._sock

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def _idle(ours: socket.socket, pool: Pool) -> tuple[Connection, _Transport]:
    connection, transport = Connection(pool), _Transport(ours)
    connection.connection_made(transport)  # type: ignore[arg-type]
    pool.put(connection)
    return connection, transport


def test_a_silent_one_is_taken(ends: tuple[socket.socket, socket.socket]) -> None:
    pool = Pool("engine", 8000)
    connection, _ = _idle(ends[0], pool)
    assert pool.take() is connection
    assert pool.take() is None


def test_one_on_which_unread_bytes_wait_is_left(ends: tuple[socket.socket, socket.socket]) -> None:
    pool = Pool("engine", 8000)
    _, transport = _idle(ends[0], pool)
    ends[1].send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong")
    assert pool.take() is None
    assert transport.aborted


def test_one_that_the_engine_has_closed_is_left(ends: tuple[socket.socket, socket.socket]) -> None:
    pool = Pool("engine", 8000)
    _, transport = _idle(ends[0], pool)
    ends[1].close()
    assert pool.take() is None
    assert transport.aborted


def test_an_engine_that_takes_nothing_new_keeps_nothing(ends: tuple[socket.socket, socket.socket]) -> None:
    pool = Pool("engine", 8000)
    connection, transport = _idle(ends[0], pool)
    pool.open_to(False)
    assert (pool.idle, transport.aborted) == ([], True)
    pool.put(connection)
    assert pool.idle == []
    pool.open_to(True)
    assert not pool.closed


def test_the_youngest_is_taken_and_the_old_are_closed() -> None:
    pool, pairs = Pool("engine", 8000), [socket.socketpair() for _ in range(3)]
    connections = [_idle(ours, pool)[0] for ours, _ in pairs]
    for age, connection in zip((30.0, 20.0, 10.0), connections, strict=True):
        connection.idle_since = 100.0 - age
    pool.trim(100.0, 15.0)
    assert pool.idle == [connections[2]]
    assert pool.take() is connections[2]
    for pair in pairs:
        for end in pair:
            end.close()


def test_its_heads_are_bounded_as_the_settings_say() -> None:
    pool = Pool("engine", 8000)
    pool.limit(Limits(max_head_bytes=2048, max_headers=8))
    assert (pool.max_head, pool.max_headers) == (2048, 8)
