"""API keys: who may ask, and for which models.

The configuration holds only hashes, so a request costs one SHA-256 and one lookup, and what is compared is
nothing that its sender could choose. Asked when a request's head is complete, before anybody's body is read.
Knows nothing of connections; no key is ever kept, logged or sent on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Final

import orjson

from pointsman_router.config import Key
from pointsman_router.errors import Problem

if TYPE_CHECKING:
    from pointsman_router.clients.request import Request
    from pointsman_router.records.metrics import KeyStats
    from pointsman_router.table import Table

_RANDOM_BYTES: Final = 32
_PREFIX: Final = "sk-"
"""What OpenAI's keys begin with: some clients insist."""
_CODE: Final = "invalid_api_key"
MISSING: Final = Problem(
    401,
    "You didn't provide an API key. Send it in the Authorization header (Authorization: Bearer YOUR_KEY) "
    "or in x-api-key.",
    code=_CODE,
)
UNKNOWN: Final = Problem(401, "Incorrect API key provided.", code=_CODE)


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key as the request path wants it."""

    name: str
    label: bytes
    """Its name in the access log, as JSON."""
    models: frozenset[str]
    """Names it may use; empty: all."""
    model_list: bytes
    """Body of GET /v1/models for its bearer."""
    stats: KeyStats

    def may_use(self, model: str) -> bool:
        """Whether its bearer may name this model. One it may not is, to him, one that doesn't exist."""
        return not self.models or model in self.models


def compile_keys(
    keys: Iterable[Key], models: Mapping[str, object], stats: Mapping[str, KeyStats]
) -> dict[bytes, KeyState]:
    """The keys by their digest. `models`: entries of GET /v1/models, by their names."""
    compiled: dict[bytes, KeyState] = {}
    for key in keys:
        own = [entry for name, entry in models.items() if not key.models or name in key.models]
        compiled[bytes.fromhex(key.sha256)] = KeyState(
            name=key.name,
            label=orjson.dumps(key.name),
            models=frozenset(key.models),
            model_list=orjson.dumps({"object": "list", "data": own}),
            stats=stats[key.name],
        )
    return compiled


def check(request: Request, table: Table) -> Problem | None:
    """Notes whose key a request bears, or says why it isn't answered. Only asked where there are keys.

    Depends on nothing but head and keys, since a connection's repeated heads are not asked about again.
    """
    if not request.credential:
        return MISSING
    key = table.keys.get(sha256(request.credential).digest())
    if key is None:
        return UNKNOWN
    request.key = key
    return None


def digest(secret: str) -> str:
    """What the configuration holds of a key."""
    return sha256(secret.encode()).hexdigest()


def fresh() -> str:
    """A key nobody could guess: 256 random bits."""
    return _PREFIX + token_urlsafe(_RANDOM_BYTES)
