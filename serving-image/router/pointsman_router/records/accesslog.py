"""One JSON line for each answered request, without anything a client or a model said.

Entries are gathered on the request path, worded some at a time, which takes half of what each by itself
would, and handed once per tick to a thread that writes them, so that a reader of standard output that stalls
never stalls requests; what it can't take is dropped and counted.
"""

from __future__ import annotations

import os
import queue
import select
import threading
from collections.abc import Iterator
from typing import Final, NamedTuple

import orjson

_MAX_WAITING: Final = 256
"""Batches (about one a second, at most 64 KiB of lines each) that may wait for a slow reader."""
_BATCH_LINES: Final = 256
_WORDED: Final = 64
"""Entries that are worded at a time: a quarter of a millisecond's work."""

_LINE: Final = (
    b'{"time":%.3f,"id":"%b","route":"%b","status":%d%b,"engine":%b,"attempts":%d,"firstByte":%.4f,'
    b'"seconds":%.4f,"bytesIn":%d,"bytesOut":%d,"client":"%b","key":%b,"ending":"%b"}\n'
)


class Entry(NamedTuple):
    """What is worth knowing of a request afterwards, in the order of the line. Nothing here needs escaping:
    names come as JSON, everything else is checked or made here."""

    time: float
    """Seconds since the epoch, when the answer ended."""
    request_id: bytes
    route: bytes
    status: int
    """What the client got, or what a stream that had begun ended with; 499 when the client left first."""
    labels: bytes
    """Service and variant, as `label_of` words them."""
    engine: bytes
    """Pod, or address, of the engine that was asked last, as JSON."""
    attempts: int
    first_byte: float
    """Seconds from the request's end to the answer's first byte; 0 when an engine gave none."""
    seconds: float
    bytes_in: int
    bytes_out: int
    client: bytes
    key: bytes
    """Name of the key it bore, as JSON."""
    ending: bytes
    """How it ended: ok, refused, client_gone, engine_broke, timeout, stopped."""


def label_of(service: str, variant: str) -> bytes:
    """The members of a line that name service and variant."""
    return b',"service":%b,"variant":%b' % (orjson.dumps(service), orjson.dumps(variant))


NO_LABEL: Final = label_of("", "")
"""Of a request that belongs to no service."""


class AccessLog:
    """Writes entries to a file descriptor, or nowhere."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._entries: list[Entry] = []
        self._lines: list[bytes] = []
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_MAX_WAITING)
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """Lines that a slow reader made us drop."""
        if descriptor is not None:
            self._thread = threading.Thread(target=self._write, name="access-log", daemon=True)
            self._thread.start()

    @property
    def enabled(self) -> bool:
        return self._descriptor is not None

    def add(self, entry: Entry) -> None:
        """Takes an entry. Never blocks."""
        self._entries.append(entry)
        if len(self._entries) >= _WORDED:
            self._word()
            if len(self._lines) >= _BATCH_LINES:
                self.flush()

    def flush(self) -> None:
        """Hands what was gathered to the writer."""
        self._word()
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            self._waiting.put_nowait(b"".join(lines))
        except queue.Full:
            self.dropped += len(lines)

    def _word(self) -> None:
        """Makes lines of the entries."""
        entries, self._entries = self._entries, []
        self._lines += [_LINE % entry for entry in entries]

    def close(self, timeout: float = 2.0) -> None:
        """Writes what is left, waiting `timeout` seconds at most."""
        if self._thread is None:
            return
        self.flush()
        try:
            self._waiting.put(None, timeout=timeout)
        except queue.Full:
            return
        self._thread.join(timeout)

    def _write(self) -> None:
        assert self._descriptor is not None
        while (batch := self._waiting.get()) is not None:
            try:
                for lines in _atoms(batch):
                    view = memoryview(lines)
                    while view:
                        view = view[os.write(self._descriptor, view) :]
            except OSError:
                continue  # nobody reads; requests go on


def _atoms(batch: bytes) -> Iterator[bytes]:
    """Whole lines, in pieces that a pipe takes in one: other processes may write to the same."""
    at = 0
    while at < len(batch):
        end = batch.rfind(b"\n", at, at + select.PIPE_BUF) + 1
        if not end:  # a line that is longer than that, alone
            end = batch.find(b"\n", at) + 1
        yield batch[at:end]
        at = end
