"""The routes that exist: everything that isn't in this table is 404, whatever the engine would serve.

An engine serves control paths beside the inference ones (load an adapter, pause, abort requests), so the
table is a list of what is allowed. Each line says how the model's name is found and how errors are worded.
Paths are compared byte by byte, so no spelling of a path reaches an engine that isn't spelled here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pointsman_router.errors import Shape


class ModelIn(Enum):
    """Where a request names its model."""

    JSON = "json"
    """Member `model` of the JSON object in the body."""
    FORM = "form"
    """Field `model` of a multipart form."""
    LIST = "list"
    """Nowhere: the route lists all models."""
    PATH = "path"
    """The rest of the path."""


@dataclass(frozen=True, slots=True)
class Route:
    """One allowed path."""

    path: bytes
    method: bytes = b"POST"
    model_in: ModelIn = ModelIn.JSON
    shape: Shape = Shape.OPENAI
    prompt: bool = False
    """Whether engines keep what they compute of its prompt, and are chosen by it."""
    stored: bool = False
    """Whether the API can refer to earlier responses (`previous_response_id`), which is refused."""

    @property
    def label(self) -> str:
        """The path for metrics and logs: never what a client sent."""
        return self.path.decode()


MODEL_PREFIX = b"/v1/models/"
MODEL = Route(MODEL_PREFIX + b"{id}", b"GET", ModelIn.PATH)

ROUTES: tuple[Route, ...] = (
    Route(b"/v1/models", b"GET", ModelIn.LIST),
    Route(b"/v1/chat/completions", prompt=True),
    Route(b"/v1/completions", prompt=True),
    Route(b"/v1/embeddings", prompt=True),
    Route(b"/v1/responses", shape=Shape.RESPONSES, prompt=True, stored=True),
    Route(b"/v1/messages", shape=Shape.ANTHROPIC, prompt=True),
    Route(b"/v1/messages/count_tokens", shape=Shape.ANTHROPIC),
    Route(b"/v1/rerank"),
    Route(b"/rerank"),
    Route(b"/v1/score"),
    Route(b"/score"),
    Route(b"/v1/audio/transcriptions", model_in=ModelIn.FORM),
    Route(b"/v1/audio/translations", model_in=ModelIn.FORM),
    Route(b"/tokenize"),
    Route(b"/detokenize"),
)

_BY_PATH = {route.path: route for route in ROUTES}


def find(path: bytes) -> Route | None:
    """The route of a path (without its query), or None."""
    route = _BY_PATH.get(path)
    if route is None and path.startswith(MODEL_PREFIX) and len(path) > len(MODEL_PREFIX):
        return MODEL
    return route
