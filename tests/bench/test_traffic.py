"""The load generator believes nothing: whatever a proxy gets wrong is counted, or no figure could be trusted.

Between it and the fake engine stands a proxy that gets one thing wrong.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import load
from bench.processes import cpu_seconds, open_files, rss_mib, tree

CORE = min(os.sched_getaffinity(0))
Meddle = Callable[[bytes], bytes]

WRONG: dict[str, tuple[str, Meddle]] = {
    "a byte of a body was changed": ("closed", lambda data: data.replace(b"lorem", b"l0rem")),
    "the answer is another request's": ("closed", lambda data: data.replace(b"cmpl-", b"cmpl-9")),
    "an answer is an error": ("closed", lambda data: data.replace(b"200 OK", b"502 Bad Gateway")),
    "an answer is shorter than it was": ("closed", lambda data: data.replace(b"gth: ", b"gth: 9\r\nwas: ")),
    "two events changed places": ("streams", lambda data: data.replace(b" tok0003", b" tok0004")),
    "an event came twice": ("streams", lambda data: data.replace(b" tok0005", b" tok0004")),
    "[DONE] never came": ("streams", lambda data: data.replace(b"e\r\ndata: [DONE]\n\n\r\n", b"")),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with load.engines([f"127.0.0.1:{port}"], CORE, tmp_path_factory.mktemp("engine") / "log"):
        yield port


@pytest.fixture
def proxy(engine: int) -> Iterator[Callable[[Meddle], str]]:
    """Starts a proxy that meddles with what the engine says; gives its address."""
    opened: list[socket.socket] = []

    def relay(source: socket.socket, target: socket.socket, meddle: Meddle) -> None:
        with source, target:
            try:
                while data := source.recv(65536):
                    target.sendall(meddle(data))
                target.shutdown(socket.SHUT_WR)
            except OSError:
                return

    def serve(listener: socket.socket, meddle: Meddle) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", engine))
            threading.Thread(target=relay, args=(upstream, client, meddle), daemon=True).start()
            threading.Thread(target=relay, args=(client, upstream, bytes), daemon=True).start()

    def start(meddle: Meddle) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)
        threading.Thread(target=serve, args=(listener, meddle), daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in opened:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def run(mode: str, address: str) -> load.Load:
    if mode == "closed":
        return load.closed_loop(address, CORE, workers=2, seconds=0.1)
    return load.streams(address, CORE, count=2, chunks=10, interval_us=2000, ramp=0.01)


@pytest.mark.parametrize(("mode", "meddle"), WRONG.values(), ids=WRONG.keys())
def test_it_is_a_failure_that(mode: str, meddle: Meddle, proxy: Callable[[Meddle], str]) -> None:
    seen = run(mode, proxy(meddle))
    assert seen.failures
    assert seen.causes
    assert not seen.requests


@pytest.mark.parametrize("mode", ["closed", "streams"])
def test_a_proxy_that_changes_nothing_has_no_failures(mode: str, proxy: Callable[[Meddle], str]) -> None:
    seen = run(mode, proxy(bytes))
    assert (seen.failures, seen.causes) == (0, ())
    assert seen.requests
    assert (seen.chunks, seen.peak) == ((20, 2) if mode == "streams" else (0, 0))


def test_a_schedule_is_kept(engine: int) -> None:
    seen = load.at_rate(f"127.0.0.1:{engine}", CORE, rate=200, workers=4, seconds=0.5)
    assert seen.requests == 100
    assert 0 < seen.latency.p50 <= seen.latency.p99 <= seen.latency.max


def test_a_process_is_accounted_for() -> None:
    own = os.getpid()
    assert tree(own)[0] == own
    assert cpu_seconds(own) > 0
    assert rss_mib(own) > 10
    assert open_files(own) >= len(list(Path("/proc/self/fd").iterdir())) - 2
