"""One connection to an engine: a request out, its response in, and whether it may carry another.

llhttp follows the framing of every response, but takes more than a proxy may believe (other versions, coded
bodies, lengths that contradict each other, heads without bound, responses nobody asked for), so each such
case is a fault here. A connection may be used again only when nothing about it is in doubt: the response
ended where its framing says, nothing came after it, the request was written whole. It knows no services,
variants or clients; what a response means is the exchange's business.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

import httptools

from pointsman_router.engines.fields import (
    ACTIONS,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    DROP,
    FORWARD,
    ONCE,
    TRANSFER_ENCODING,
    classify,
)
from pointsman_router.engines.response import CLOSED, Fault, Response, Taker
from pointsman_router.headers import PLAIN_CONNECTION, without_nominated

if TYPE_CHECKING:
    from pointsman_router.engines.pool import Pool

_SPLIT_WRITE = 64 * 1024
"""Bodies above this are written apart from the head instead of being copied behind it."""
_MAX_INFORMATIONAL = 16
_NEVER_ENDLESS = (b"application/json", b"text/event-stream")
"""Content whose end the framing must tell: cut by a crash, it would look whole."""
_WHOLE_CHUNK: Final = b"\n\n\r\n"
"""How a chunk of whole events ends."""
_action_of = ACTIONS.get


class _StopParsingError(Exception):
    """Leaves llhttp's callbacks with the fault, or with None when the taker left."""

    def __init__(self, fault: Fault | None) -> None:
        self.fault = fault


class Connection(asyncio.Protocol):
    """One connection to an engine, carrying one request at a time."""

    __slots__ = (
        "_between",
        "_chunk",
        "_close_delimited",
        "_complete",
        "_connection_field",
        "_doubt",
        "_dropped",
        "_encoded",
        "_fed",
        "_head_done",
        "_informational",
        "_keep",
        "_once",
        "_parser",
        "_paused",
        "_pieces",
        "_readable",
        "_relay",
        "_response",
        "_taker",
        "_transfer",
        "_transport",
        "idle_since",
        "on_body",
        "pool",
        "reused",
        "sent_at",
    )

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.idle_since = 0.0
        self.sent_at = 0.0
        self.reused = False
        self._transport: asyncio.Transport | None = None
        self._readable = select.poll()
        self._taker: Taker | None = None
        self._relay: Callable[[bytes], None] | None = None
        self._chunk: Callable[[bytes, int], bool] | None = None
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        """llhttp's callback, without a Python call in between."""
        self._parser: Any = None
        """From when it's made until it's lost: parser and callbacks hold each other."""
        self._doubt = False
        self._paused = False
        self._reset()

    def _reset(self) -> None:
        self._response = Response()
        self._head_done = False
        self._between = False
        """Whether llhttp has just seen a chunk's end, and nothing since."""
        self._complete = False
        self._close_delimited = False
        self._encoded = False
        self._transfer: bytes | None = None
        self._connection_field = b""
        self._once = b""
        self._keep = True
        self._fed = 0
        self._dropped = 0
        self._informational = 0

    # What the exchange does with it.

    @property
    def usable(self) -> bool:
        """Whether a request may be sent on it: it's open, and nothing that nobody asked for waits on it."""
        return not self._doubt and self._transport is not None and not self._readable.poll(0)

    def send(self, taker: Taker, head: bytes, body: bytes) -> None:
        """Writes a request; the taker gets the response."""
        transport = self._transport
        assert transport is not None
        assert self._taker is None
        self._taker = taker
        self.sent_at = monotonic()
        if len(body) > _SPLIT_WRITE:
            transport.write(head)
            transport.write(body)
        else:
            transport.write(head + body)

    def abort(self) -> None:
        """Leaves at once: whoever waits for the response has gone, or it isn't to be trusted."""
        self._taker = self._relay = self._chunk = None
        self._doubt = True
        if self._transport is not None:
            self._transport.abort()

    def discard(self) -> None:
        """It was given up while it was being made. If it was made all the same, uvloop only closes it."""
        self.abort()
        self.connection_lost(None)

    def pause(self) -> None:
        """The client can't take more for now."""
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            if self._transport is not None:
                self._transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but ancestry
        self._parser = httptools.HttpResponseParser(self)
        descriptor = transport.get_extra_info("socket").fileno()
        if descriptor >= 0:
            self._readable.register(descriptor, select.POLLIN)
        self.pool.open += 1

    def data_received(self, data: bytes) -> None:
        taker = self._taker
        if taker is None:
            self.abort()  # an idle engine has nothing to say; whatever this is, it isn't an answer
            return
        if self._between and data.endswith(_WHOLE_CHUNK) and self._pass_chunk(data):
            return
        fault = None
        try:
            if not self._head_done and len(data) > self.pool.max_head:
                data = self._feed_head(data)
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            fault = self._fault(error)
        if self._taker is None:
            return
        if self._between and not data.endswith(b"\r\n"):
            self._between = False  # the beginning of a chunk's size; a whole one would have called back
        pieces = self._pieces
        if pieces:
            self._fed = 0
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
        else:
            self._fed += len(data)
            if self._fed > self.pool.max_head and not self._complete:
                fault = fault or _excess("framing")
            data = b""
        if self._complete:
            if fault is not None:
                self._doubt = True
            self._finish(taker, data)
        elif fault is not None:
            self._break(taker, data, fault)
        elif self._relay is not None:
            self._relay(data)

    def eof_received(self) -> None:
        taker = self._taker
        self._doubt = True
        if taker is not None and self._close_delimited:
            self._complete = True
            self._finish(taker, b"")

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is None:
            return  # it never was, or that's known
        self._transport = None
        self._parser = None
        self.pool.lost(self)
        taker, self._taker, self._relay, self._chunk = self._taker, None, None, None
        if taker is not None:
            untouched = self.reused and not self._fed and not self._head_done
            taker.broken(CLOSED, untouched)

    # llhttp's callbacks, in the order they come.

    def on_message_begin(self) -> None:
        if self._complete:
            self._doubt = True  # a second response nobody asked for
            raise _StopParsingError(_malformed("an answer nobody asked for"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # a trailer
        action = _action_of(name)
        if action is None:
            action = classify(name)
        if action == FORWARD:
            self._response.lines.append(name + b": " + value)
        elif action == DROP:
            self._dropped += 1
        else:
            self._note(action, name, value)

    def on_headers_complete(self) -> None:
        response, taker = self._response, self._taker
        status = response.status = self._parser.get_status_code()
        if status < 200:
            self._informational += 1
            if status == 101 or status < 100 or self._informational > _MAX_INFORMATIONAL:
                raise _StopParsingError(_malformed(f"status {status} unasked, or too often"))
            return
        fault = self._check_head(status)
        if fault is not None:
            raise _StopParsingError(fault)
        self._head_done = True
        receiver = None if taker is None else taker.answered(response)
        if receiver is None:
            raise _StopParsingError(None)
        self._relay, self._chunk = receiver.relay, receiver.chunk

    def on_chunk_header(self) -> None:
        self._between = False

    def on_chunk_complete(self) -> None:
        self._between = True

    def on_message_complete(self) -> None:
        if self._head_done:
            self._complete = True
        else:
            self._next_head()

    # What they lead to.

    def _pass_chunk(self, data: bytes) -> bool:
        """Most reads of a stream are one chunk, framed as we would frame it: that passes as it is, past
        llhttp, which goes on standing between chunks. False: it's anything else."""
        at = data.find(b"\r\n", 1, 8)
        size = len(data) - at - 4
        chunk = self._chunk
        return at > 0 and data[:at] == b"%x" % size and chunk is not None and chunk(data, size)

    def _note(self, action: int, name: bytes, value: bytes) -> None:
        """Keeps what a field means to the router."""
        response = self._response
        if action == ONCE:
            key = name.lower() + b","
            if key in self._once:
                return
            self._once += key
            response.lines.append(name + b": " + value)
        elif action == CONTENT_TYPE:
            if response.content_type:
                raise _StopParsingError(_malformed("two values of Content-Type"))
            response.content_type = value.lower()
            response.lines.append(name + b": " + value)
        elif action == CONTENT_LENGTH:
            response.length = int(value)
        elif action == TRANSFER_ENCODING:
            self._transfer = value if self._transfer is None else self._transfer + b"," + value
        elif action == CONNECTION:
            self._connection_field += b"," + value
        elif action == CONTENT_ENCODING:
            self._encoded = self._encoded or value.strip().lower() != b"identity"

    def _check_head(self, status: int) -> Fault | None:
        parser, response = self._parser, self._response
        version = parser.get_http_version()
        if version != "1.1" and version != "1.0":
            return _malformed("neither HTTP/1.1 nor 1.0")
        transfer = self._transfer
        if transfer is not None:
            if response.length is not None:
                return _malformed("Content-Length with Transfer-Encoding")
            if transfer.strip().lower() != b"chunked" or version == "1.0":
                return _malformed("a Transfer-Encoding other than plain chunked")
        if self._encoded:
            return _malformed("a coded body, though none was accepted")
        if status > 599 or 300 <= status < 400:
            return _malformed(f"status {status}, which clients needn't see")
        if len(response.lines) + self._dropped > self.pool.max_headers:
            return Fault("excess", "the engine sent too many header fields", "max_headers")
        self._keep = parser.should_keep_alive()
        if status == 204:
            response.length = 0
        elif transfer is None and response.length is None:
            if response.content_type.startswith(_NEVER_ENDLESS):
                return _malformed("an answer whose framing tells no end")
            self._close_delimited = True
            self._keep = False
        if self._connection_field and self._connection_field[1:] not in PLAIN_CONNECTION:
            response.lines = without_nominated(response.lines, self._connection_field)
        return None

    def _next_head(self) -> None:
        """That was a 1xx; the answer is still to come, and what was read counts towards its head."""
        informational, fed = self._informational, self._fed
        self._reset()
        self._informational, self._fed = informational, fed

    def _feed_head(self, data: bytes) -> bytes:
        """Gives llhttp as much as a head may have; gives back the rest where the head is complete by then."""
        size = max(self.pool.max_head - self._fed, 0)
        self._parser.feed_data(data[:size])
        if not self._head_done:
            self._fed = self.pool.max_head
            return data[size : size + 1]  # one byte more is too much, as `data_received` will find
        return data[size:]

    def _fault(self, error: httptools.HttpParserError) -> Fault | None:
        if isinstance(error, httptools.HttpParserCallbackError):
            context = error.__context__
            if not isinstance(context, _StopParsingError):
                self._doubt = True
                raise error
            return context.fault
        return _malformed(f"malformed HTTP ({error})")

    def _finish(self, taker: Taker, data: bytes) -> None:
        """The response is whole: first let go of the connection, so that what follows may reuse it."""
        self._taker = self._relay = self._chunk = None
        transport = self._transport
        clean = self._keep and not self._doubt and transport is not None and not transport.is_closing()
        if clean and transport is not None and not transport.get_write_buffer_size():
            self._reset()
            self.resume()
            self.reused = True
            self.pool.put(self)
        else:
            self.abort()
        taker.completed(data)

    def _break(self, taker: Taker, data: bytes, fault: Fault) -> None:
        relay = self._relay
        self.abort()
        if relay is not None and data:
            relay(data)
        taker.broken(fault, False)


def _malformed(words: str) -> Fault:
    return Fault("malformed", f"the engine sent {words}")


def _excess(what: str) -> Fault:
    return Fault("excess", f"the engine's {what} takes too much room", "max_head_bytes")
