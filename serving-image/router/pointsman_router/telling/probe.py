"""Proves that a service answers: one token, asked through the router's own stages.

What an engine can be asked isn't declared anywhere, so it's found out from the engine: chat first, and on to
the next kind when it says that it doesn't do this one. The kind that worked is remembered per variant.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import orjson

from pointsman_router.answering.exchange import Exchange
from pointsman_router.router import Router
from pointsman_router.table import ServiceState
from pointsman_router.telling import internal
from pointsman_router.telling.internal import Sink

TIMEOUT_SECONDS = 60.0
_NOT_THIS_KIND = frozenset({400, 404, 405, 415, 422, 501})
_MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to ask for next to nothing."""

    name: str
    path: bytes
    ask: Callable[[str], tuple[bytes, bytes]]
    """Content type and body that ask the named model."""
    answer: str
    """Member that a right answer has, and that isn't empty."""


def _json(**fields: Any) -> Callable[[str], tuple[bytes, bytes]]:
    return lambda model: (b"application/json", orjson.dumps({"model": model, **fields}))


def _second_of_silence(model: str) -> tuple[bytes, bytes]:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(2 * 16000))
    boundary = b"pointsman-probe"
    body = (
        b'--%b\r\ncontent-disposition: form-data; name="model"\r\n\r\n%b\r\n'
        b'--%b\r\ncontent-disposition: form-data; name="file"; filename="silence.wav"\r\n'
        b"content-type: audio/wav\r\n\r\n%b\r\n--%b--\r\n"
    ) % (boundary, model.encode(), boundary, sound.getvalue(), boundary)
    return b"multipart/form-data; boundary=" + boundary, body


KINDS: tuple[Kind, ...] = (
    Kind(
        "chat",
        b"/v1/chat/completions",
        _json(messages=[{"role": "user", "content": "ping"}], max_tokens=1),
        "choices",
    ),
    Kind("completion", b"/v1/completions", _json(prompt="ping", max_tokens=1), "choices"),
    Kind("embedding", b"/v1/embeddings", _json(input="ping"), "data"),
    Kind("score", b"/v1/score", _json(text_1="ping", text_2="pong"), "data"),
    Kind("rerank", b"/v1/rerank", _json(query="ping", documents=["pong"]), "results"),
    Kind("transcription", b"/v1/audio/transcriptions", _second_of_silence, "text"),
)


class Prober:
    """Probes services, and remembers what each variant can be asked."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._kinds: dict[tuple[str, str], Kind] = {}

    async def probe(self, name: str, only: str = "") -> tuple[int, dict[str, Any]]:
        """Status and body of `POST /probe/<name>`; `only`: the variant to stay in, whatever its weight."""
        service = self._router.state.table.services.get(name)
        if service is None:
            return 404, {"ok": False, "reason": "UnknownService", "message": f"there is no service {name!r}"}
        if only and service.variant(only) is None:
            return 404, _failure(service, "UnknownVariant", f"{name!r} has no variant {only!r}")
        if not service.model_names:
            return 503, _failure(service, "NoModelName", f"{name!r} has no name clients could ask for")
        began = monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._ask_kinds(service, only, began)
        except TimeoutError:
            return 503, _failure(service, "Timeout", f"no answer within {TIMEOUT_SECONDS:g} seconds")

    async def _ask_kinds(self, service: ServiceState, only: str, began: float) -> tuple[int, dict[str, Any]]:
        refusals = []
        for kind in self._order(service.name, only):
            exchange, sink = await self._ask(service, only, kind)
            asked = exchange.service or service
            if sink.status == 200 and _is_answer(bytes(sink.content), kind):
                variant = exchange.variant.name if exchange.variant else ""
                self._kinds[asked.name, variant] = kind
                return 200, {
                    "ok": True,
                    "service": asked.name,
                    "generation": asked.generation,
                    "hash": asked.hash,
                    "variant": variant,
                    "seconds": round(monotonic() - began, 4),
                    "kind": kind.name,
                }
            reason, message = _why(sink)
            if sink.status not in _NOT_THIS_KIND:
                return 503, _failure(asked, reason, message)
            refusals.append(f"{kind.name}: {message}")
        return 503, _failure(service, "EngineError", "; ".join(refusals))

    def _order(self, service: str, only: str) -> list[Kind]:
        """What worked before comes first."""
        known = [kind for (s, v), kind in self._kinds.items() if s == service and (not only or v == only)]
        return [*dict.fromkeys((*known, *KINDS))]

    async def _ask(self, service: ServiceState, only: str, kind: Kind) -> tuple[Exchange, Sink]:
        content_type, body = kind.ask(service.model_names[0])
        return await internal.ask(self._router, kind.path, content_type, body, only, probe=True)


def _is_answer(body: bytes, kind: Kind) -> bool:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    # An empty text is a right transcription of silence.
    return isinstance(document, dict) and (
        bool(document.get(kind.answer)) or (kind.answer == "text" and "text" in document)
    )


def _why(sink: Sink) -> tuple[str, str]:
    """Reason and message of an answer that proves nothing."""
    try:
        error = orjson.loads(bytes(sink.content))["error"]
        message, code = str(error["message"]), error.get("code")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        message, code = bytes(sink.content[:_MAX_MESSAGE]).decode("utf-8", "replace"), None
    if code == "no_ready_endpoint":
        return "NoReadyEndpoint", message
    if code == "engine_unreachable":
        return "EngineUnreachable", message
    return "EngineError", f"{sink.status}: {message[:_MAX_MESSAGE]}"


def _failure(service: ServiceState, reason: str, message: str) -> dict[str, Any]:
    return {
        "ok": False,
        "reason": reason,
        "message": message,
        "service": service.name,
        "generation": service.generation,
        "hash": service.hash,
    }
