"""What a request wishes of the choice of its engine: to be where its beginning, session or adapter is known.

Compiled per service when configuration or endpoints arrive, so that a service whose requests have no choice
costs one test. Reads documents and headers; knows nothing of engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from xxhash import xxh3_64_intdigest as digest

from pointsman_router.picking.prompts import Said
from pointsman_router.settings import Policy, Routing

_NO_CHAIN: tuple[int, ...] = ()


class HasFields(Protocol):
    """A request, as far as its header fields matter here."""

    def value(self, name: bytes) -> bytes | None:
        """The value of a field that is passed on, by its lower-case name."""


class Wish:
    """By what an engine is chosen. Numbers are hashes of 64 bits; 0 stands for none."""

    __slots__ = ("adapter", "chain", "session")

    def __init__(self, chain: Sequence[int], session: int = 0, adapter: int = 0) -> None:
        self.chain = chain
        """Of the prompt's leading blocks, each over all before it."""
        self.session = session
        self.adapter = adapter


@dataclass(frozen=True, slots=True)
class Sessions:
    """How requests of one service say what they belong to."""

    header: bytes
    """In lower case; empty for none."""
    conversation: bool

    @classmethod
    def of(cls, routing: Routing, choice: bool) -> Sessions | None:
        """None where nothing names a session, or where there's no `choice` to make by it."""
        sticky = routing.stickiness
        if not choice or not (sticky.header or sticky.conversation):
            return None
        return cls(sticky.header.lower().encode(), sticky.conversation)

    def read(self, request: HasFields, document: dict[str, Any]) -> int:
        """The hash of a request's session; 0 for none."""
        name = self._name(request, document)
        return digest(name) or 1 if name else 0

    def _name(self, request: HasFields, document: dict[str, Any]) -> bytes:
        if self.header:
            value = request.value(self.header)
            if value:
                return value
        if self.conversation:
            conversation = document.get("conversation")
            if type(conversation) is dict:
                conversation = conversation.get("id")
            for name in (conversation, document.get("prompt_cache_key"), document.get("user")):
                if type(name) is str and name:
                    return name.encode("utf-8", "surrogatepass")
        return b""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What requests of one service may wish for."""

    adapters: frozenset[str]
    prefix: bool
    block_bytes: int
    max_blocks: int

    @classmethod
    def of(cls, routing: Routing, adapters: Sequence[str], engines: bool) -> Wishes | None:
        """None where nothing is to choose by. `engines`: whether a variant has several of them."""
        picking, sticky = routing.picking, routing.stickiness
        if not engines:
            return None
        wishes = cls(
            adapters=frozenset(adapters),
            prefix=picking.policy is Policy.PREFIX_AFFINITY,
            block_bytes=picking.block_bytes,
            max_blocks=picking.max_blocks,
        )
        wanted = wishes.prefix or wishes.adapters or sticky.header or sticky.conversation
        return wishes if wanted else None

    def read(self, said: Said, model: str, prompt: bool, session: int) -> Wish | None:
        """A request's wish, if it has one. `prompt`: whether engines keep what they compute of it. `session`:
        as `Sessions` read it."""
        if session:
            return Wish(_NO_CHAIN, session)
        adapter = (digest(model.encode()) or 1) if model in self.adapters else 0
        chain: Sequence[int] = _NO_CHAIN
        if prompt and self.prefix:
            block = self.block_bytes
            chain = chain_of(said.beginning(block * self.max_blocks), block, adapter)
        return Wish(chain, 0, adapter) if chain or adapter else None


def chain_of(data: bytes, block: int, seed: int = 0) -> list[int]:
    """The hashes of all beginnings that end with a whole block. What is shorter than one has none: there is
    nothing in it worth going anywhere for. `seed`: keeps prompts apart that no engine has in common."""
    return [seed := digest(data[end - block : end], seed) for end in range(block, len(data) + 1, block)]
