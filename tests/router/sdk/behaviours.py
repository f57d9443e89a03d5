"""The form of what users of the OpenAI SDKs may rely on.

A behaviour says what an application calls, what the engine does then, and what the application is to see, as
plain data that the Python and the Node client share. The tables are answered.py and failing.py; how each
client is driven is python_client.py's and node_client.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tests.router.engine import FakeEngine, Script
from tests.router.stack import configuration, service, variant

CHAT = "chat.completions.create"
KEY = "sk-secret"
RESPONSES = "responses.create"
MESSAGES = [{"role": "user", "content": "ping"}]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


@dataclass(frozen=True, slots=True)
class Call:
    """What the application does."""

    api: str = CHAT
    arguments: Mapping[str, Any] = field(default_factory=lambda: {"model": "chat", "messages": MESSAGES})
    positional: tuple[str, ...] = ()
    key: str = KEY
    base: str = "/v1"
    """Path of the client's base URL."""
    timeout: float = 10.0
    """The client's, in seconds."""
    retries: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    leave_after: int = 0
    """Parts of a stream after which the application leaves; 0 reads to the end."""
    cancel_after: float = 0.0
    """Seconds after which the application cancels the call; 0: never."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One line of the table."""

    name: str
    call: Call
    sees: Mapping[str, object]
    """What the application gets: dotted path in the outcome -> value. A class stands for any such value."""
    sees_in_node: Mapping[str, object] | None = None
    """Where the Node SDK puts the same in another way."""
    engine: tuple[Script, ...] = ()
    """What the engine does to the first requests."""
    settings: Mapping[str, float] = field(default_factory=dict)
    engine_got: Mapping[str, object] = field(default_factory=dict)
    """Dotted path in the first request's document -> value."""
    engine_left: bool = False
    """Whether the engine learns that nobody waits any more."""
    configure: Callable[[FakeEngine], dict[str, Any]] | None = None


def chat(**arguments: Any) -> Call:
    return Call(arguments={"model": "chat", "messages": MESSAGES, **arguments})


def call(api: str, /, *positional: str, **arguments: Any) -> Call:
    return Call(api, arguments, positional)


def error(class_: str, status: int | None, code: object = None, type_: object = None) -> dict[str, object]:
    """What an exception tells. Its class is named as in Python."""
    return {
        "error.class": class_,
        "error.status": status,
        "error.code": code,
        "error.type": type_,
    }


def keyed(_: FakeEngine) -> dict[str, Any]:
    """A router that knows one key, which may use one of two models."""
    known = {"name": "team-a", "sha256": sha256(KEY.encode()).hexdigest(), "models": ["chat"]}
    return configuration(service("chat", variant("v")), service("draw", variant("v"))) | {"keys": [known]}


def several_models(_: FakeEngine) -> dict[str, Any]:
    return configuration(service("chat", variant("v"), names=["chat", "org/model"]))


def idle(_: FakeEngine) -> dict[str, Any]:
    return configuration(service("chat", variant("v")))
