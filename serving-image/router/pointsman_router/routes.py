"""The routes that exist: everything that isn't in this table is 404, whatever the engine would serve.

An engine serves control paths beside the inference ones (load an adapter, pause, abort requests), so the
table is a list of what is allowed. Each line says how the model's name is found and how errors are worded.
A path is normalised before it is looked up, and the engine gets the table's own spelling of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pointsman_router import refusals
from pointsman_router.errors import RefusedError, Shape


class ModelIn(Enum):
    """Where a request names its model."""

    JSON = "json"
    """Member `model` of the JSON object in the body."""
    FORM = "form"
    """Field `model` of a multipart form."""
    ANSWER = "answer"
    """Nowhere: it's about an answer, whose id says which it was."""
    LIST = "list"
    """Nowhere: the route lists all models."""
    PATH = "path"
    """The rest of the path."""


class Prompted(Enum):
    """What a prompt is to a route, where the variant that answers has one."""

    FIRST = "first"
    """Its messages come before the request's."""
    REFUSED = "refused"
    """It can't be put before what the route takes, and leaving it out would answer something else."""
    ALIKE = "alike"
    """The answer is the same with it and without."""


@dataclass(frozen=True, slots=True)
class Route:
    """One allowed path."""

    path: bytes
    method: bytes = b"POST"
    model_in: ModelIn = ModelIn.JSON
    shape: Shape = Shape.OPENAI
    prompt: bool = False
    """Whether engines keep what they compute of its prompt, and are chosen by it."""
    streams: bool = False
    """Whether its answer is a stream where the request asks for one."""
    stored: bool = False
    """Whether the API can refer to earlier responses (`previous_response_id`), which is refused."""
    prompted: Prompted = Prompted.REFUSED

    @property
    def label(self) -> str:
        """The path for metrics and logs: never what a client sent."""
        return self.path.decode()


MODEL_PREFIX = b"/v1/models/"
MODEL = Route(MODEL_PREFIX + b"{id}", b"GET", ModelIn.PATH)

ROUTES: tuple[Route, ...] = (
    Route(b"/v1/models", b"GET", ModelIn.LIST),
    Route(b"/v1/chat/completions", prompt=True, streams=True, prompted=Prompted.FIRST),
    Route(b"/v1/completions", prompt=True, streams=True),
    Route(b"/v1/embeddings", prompt=True),
    Route(b"/v1/responses", shape=Shape.RESPONSES, prompt=True, streams=True, stored=True),
    Route(b"/v1/messages", shape=Shape.ANTHROPIC, prompt=True, streams=True),
    Route(b"/v1/messages/count_tokens", shape=Shape.ANTHROPIC),
    Route(b"/v1/rerank"),
    Route(b"/rerank"),
    Route(b"/v1/score"),
    Route(b"/score"),
    Route(b"/v1/audio/transcriptions", model_in=ModelIn.FORM),
    Route(b"/v1/audio/translations", model_in=ModelIn.FORM),
    Route(b"/v1/feedback", model_in=ModelIn.ANSWER),
    Route(b"/tokenize"),
    Route(b"/detokenize", prompted=Prompted.ALIKE),
)

_BY_PATH = {route.path: route for route in ROUTES}


_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")
_ODD: Final = re.compile(rb"%|//|/\.")


def find(path: bytes) -> tuple[Route | None, bytes]:
    """The route of a path (without its query) and the path in its one true spelling.

    Raises RefusedError for a path that could mean different things to different servers.
    """
    route = _BY_PATH.get(path)
    if route is not None:
        return route, path
    if _ODD.search(path) is not None:
        path = normalise(path)
        route = _BY_PATH.get(path)
    if route is None and path.startswith(MODEL_PREFIX) and len(path) > len(MODEL_PREFIX):
        route = MODEL
    elif b"%2F" in path:
        raise _refused("holds an encoded slash")
    return route, path


def normalise(path: bytes) -> bytes:
    """The path with escapes of plain characters undone, dot segments followed and slashes merged (RFC 3986,
    6.2.2). Raises RefusedError where that leads out of the root, or hides a character that no path needs."""
    segments: list[bytes] = []
    plain = _ESCAPE.sub(_plain, path)
    for segment in plain.split(b"/"):
        if segment == b"..":
            if not segments:
                raise _refused("leads out of the root")
            segments.pop()
        elif segment not in (b"", b"."):
            segments.append(segment)
    end = b"/" if segments and plain.endswith((b"/", b"/.", b"/..")) else b""
    return b"/" + b"/".join(segments) + end


def _plain(escape: re.Match[bytes]) -> bytes:
    if escape[1] is None:
        raise _refused("holds a percent sign that begins no escape")
    code = int(escape[1], 16)
    if code in _UNRESERVED:
        return bytes((code,))
    if code < 0x20 or code == 0x7F or code == ord("\\"):
        raise _refused("holds an encoded control character or backslash")
    return escape[0].upper()


def _refused(message: str) -> RefusedError:
    return RefusedError(refusals.bad_path(message))
