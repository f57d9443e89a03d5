"""What one caller gets, from the first byte on: an engine's answer as it comes, or one of our own.

Once a byte is out, the only way to tell of a problem is in the answer itself: as an event where a stream of
events is whole, else by cutting the connection. A stream that waits long is begun here, with comments that
keep it alive. It knows callers and shapes of errors; nothing of engines and connections to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

from pointsman_router import errors
from pointsman_router.answering.caller import Caller
from pointsman_router.answering.events import ENDS, EventBuffer
from pointsman_router.clients.request import Request
from pointsman_router.engines.response import Response
from pointsman_router.errors import Problem, Shape
from pointsman_router.records.metrics import Distribution
from pointsman_router.records.windows import MOST, Tail

_JSON_LINE: Final = b"content-type: application/json"
_STREAM_LINES: Final = (b"content-type: text/event-stream", b"cache-control: no-cache")
_EVENT_STREAM: Final = b"text/event-stream"
_COMMENT: Final = b": waiting\n\n"
"""A line that every reader of events ignores, and the empty one that ends it."""
_ABORTED: Final = re.compile(rb'"finish_reason":"abort"|"type":"message_delta","delta":\{"stop_reason":null')
"""How vLLM words it, in OpenAI's and in Anthropic's shape, when it's stopped before an answer is whole; then
it ends it as if it were. No text in JSON can hold this: its quotes would be escaped."""
_MAX_UNTOLD: Final = 64 * 1024
_SAMPLE_EVERY: Final = 16
"""Of so many gaps between reads, one is measured."""


class Source(Protocol):
    """Where an answer comes from."""

    @property
    def leaving(self) -> bool:
        """Whether it's going to be stopped."""


class Answer:
    """The answer to one request, on its way to the caller."""

    __slots__ = (
        "_caller",
        "_chunks",
        "_events",
        "_gaps",
        "_request",
        "_sampled_at",
        "_source",
        "_stopped",
        "_until_sample",
        "bytes_out",
        "extra",
        "first_byte_at",
        "status",
        "tail",
    )

    def __init__(self, caller: Caller, request: Request) -> None:
        self._caller = caller
        self._request = request
        self._events: EventBuffer | None = None
        self._gaps: Distribution | None = None
        self._chunks: Callable[[bytes], None] | None = None
        """Takes chunks with their framing, once the stream flows."""
        self._until_sample = 1
        self._sampled_at = 0.0
        self._source: Source | None = None
        self._stopped: Callable[[], None] | None = None
        self.tail: Tail = ()
        """What it ended with, where it's no stream."""
        self.extra: list[bytes] = []
        """Fields of our own for the answer's head."""
        self.status = 0
        """What the caller was told; 0 as long as everything is open."""
        self.bytes_out = 0
        self.first_byte_at = 0.0
        """When (monotonic) the first byte of an engine's body came; 0 where none did."""

    @property
    def progress(self) -> int:
        """Grows as long as the engine goes on."""
        return self.bytes_out + (0 if self._events is None else len(self._events.held))

    @property
    def streamed(self) -> bool:
        """Whether it comes as events."""
        return self._events is not None

    # An engine's answer.

    def begin(
        self, response: Response, gaps: Distribution, source: Source, stopped: Callable[[], None]
    ) -> None:
        """Its head is there. `gaps` takes the times between reads of a stream; `stopped` is called when the
        source says that it was stopped, and takes it from there."""
        self._source, self._stopped = source, stopped
        length = response.length
        if is_stream(response):
            self._events = self._events or EventBuffer()
            self._gaps = gaps
            length = None  # an error event may have to follow
        if not self.status:
            self.status = response.status
            self._caller.start(response.status, response.lines + self.extra, length)

    def relay(self, data: bytes) -> None:
        """Part of its body."""
        source = self._source
        if source is not None and source.leaving and self._ends_in(data):
            return
        events = self._events
        if events is not None:
            if events.open or not data.endswith(ENDS):
                data = events.feed(data)
            self._until_sample -= 1
            if not self._until_sample:
                self._sample()
        if not self.bytes_out and data:
            self.first_byte_at = monotonic()
        self.bytes_out += len(data)
        self._caller.body(data, False)
        if events is not None:
            self._chunks = None if events.open or not self.bytes_out else self._caller.chunks()
        else:
            self.tail = (data[-MOST:], *self.tail[:1])

    def chunk(self, data: bytes, size: int) -> bool:
        """A whole chunk of a stream, as it came. False: it must take the usual way."""
        chunks = self._chunks
        if chunks is None:
            return False
        source = self._source
        if source is not None and source.leaving and _ABORTED.search(data) is not None:
            return False  # `relay` looks into it
        self._until_sample -= 1
        if not self._until_sample:
            self._sample()
        self.bytes_out += size
        chunks(data)
        return True

    def finish(self, data: bytes) -> None:
        """The last part of its body."""
        source = self._source
        if source is not None and source.leaving and self._ends_in(data):
            return
        events = self._events
        if events is None:
            self.tail = (data[-MOST:], *self.tail)
        elif events.held:
            data = events.held + data
        if not self.bytes_out and data:
            self.first_byte_at = monotonic()
        self.bytes_out += len(data)
        self._caller.body(data, True)

    def over(self) -> None:
        """Nothing more comes; whoever was to be told that it stops needn't be held any longer."""
        self._source = self._stopped = None

    def _ends_in(self, data: bytes) -> bool:
        """Whether the source, which is to be stopped, says here that it was. What was whole before that is
        passed on, and what makes the rest look whole is not."""
        stopped, events = self._stopped, self._events
        if stopped is None:
            return False
        data = data if events is None else events.held + data
        aborted = _ABORTED.search(data)
        if aborted is None:
            return False
        self._source = None
        if events is not None:
            events.held = b""
            whole = data[: data.rfind(b"\n\n", 0, aborted.start()) + 2]
            if len(whole) > 1:
                self.relay(whole)
        elif not self.bytes_out:
            self.status = 0  # nothing of it is out, the head neither
        stopped()
        return True

    def _sample(self) -> None:
        """Measures one gap of many: first when it begins, then when it ends."""
        now, began = monotonic(), self._sampled_at
        if began:
            if self._gaps is not None:
                self._gaps.observe(now - began)
            self._sampled_at = 0.0
            self._until_sample = _SAMPLE_EVERY - 1
        else:
            self._sampled_at = now
            self._until_sample = 1

    # Our own.

    def write(self, status: int, lines: list[bytes], body: bytes) -> None:
        """A whole answer."""
        self.status = status
        self.bytes_out = len(body)
        self._caller.start(status, lines, len(body))
        self._caller.body(body, True)

    def comment(self) -> bool:
        """Shows whoever waits for a stream that it's alive, where that's possible without harm."""
        if self._caller.paused:
            return False
        if not self.status:
            self.status = 200
            self._events = EventBuffer()
            self._caller.start(200, [*_STREAM_LINES, *self.extra], None)
        if self._events is None or not self._events.whole:
            return False
        self._caller.body(_COMMENT, False)
        return True

    def fail(self, problem: Problem) -> None:
        """It can't be completed: an error response, an error event, or a cut that nobody takes for an end."""
        if not self.status:
            self._write_problem(problem)
        elif self._events is not None and self._events.whole:
            self._caller.body(errors.render_event(problem, self._shape), True)
        else:
            self._caller.cut()

    @property
    def _shape(self) -> Shape:
        route = self._request.route
        return Shape.OPENAI if route is None else route.shape

    def _write_problem(self, problem: Problem) -> None:
        lines = [_JSON_LINE, *self.extra]
        if problem.allow:
            lines.append(b"allow: " + problem.allow.encode())
        if problem.retry_after:
            lines.append(b"retry-after: %d" % problem.retry_after)
        if problem.status == 401:
            lines.append(b"www-authenticate: Bearer")
        body = errors.render(problem, self._shape, self._request.id.decode())
        self.write(problem.status, lines, body)


class Untold:
    """An engine's answer that comes too late to be passed on as it is; kept, so that it can be told."""

    __slots__ = ("body", "status")

    def __init__(self, status: int) -> None:
        self.status = status
        self.body = bytearray()

    def relay(self, data: bytes) -> None:
        if len(self.body) < _MAX_UNTOLD:
            self.body += data

    def chunk(self, data: bytes, size: int) -> bool:
        return False


def is_stream(response: Response) -> bool:
    """Whether an engine answers with server-sent events."""
    return response.content_type.startswith(_EVENT_STREAM)


def is_json(response: Response) -> bool:
    """Whether an engine's answer is JSON, such as every API words its errors in."""
    kind = response.content_type.partition(b";")[0].strip()
    return kind == b"application/json" or kind.endswith(b"+json")


def retry_after(response: Response) -> int:
    """Seconds after which an engine wants to be asked again; 0 where it doesn't say."""
    for line in response.lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"retry-after" and value.strip().isdigit():
            return int(value)
    return 0
