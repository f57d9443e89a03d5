"""The LISTs of watched kinds, for as long as nothing has been seen since that they don't show.

What a LIST by version must show, one that was read before may show already: then nobody is asked. An event
that is lost makes it wrong, though: the re-list of everything drops all of it, and before something is
destroyed it isn't relied on.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pointsman.api.names import (
    CONTROLLERREVISION,
    LABEL_ROLE,
    LABEL_ROUTER,
    LABEL_SERVICE,
    LLMROUTER,
    LLMSERVICE,
    ROLE_PROMPT,
)
from pointsman.kube.protocol import Objects

Scope = tuple[str, str, str]
"""Kind, namespace and label selector of a LIST."""
LABELS = {LABEL_SERVICE: LLMSERVICE.kind, LABEL_ROUTER: LLMROUTER.kind}
COPIES = f"{LABEL_ROLE}={ROLE_PROMPT}"
"""Of ControllerRevisions: the copies of prompts of a namespace."""
MOST = 50_000
"""How many LISTs are kept before all are dropped."""
WINDOW = 32 * 1024
"""How much of another text zlib can make use of."""


@dataclass(frozen=True, slots=True)
class _Listed:
    version: int
    packed: bytes
    """Kept small: most is never asked for again."""


@dataclass(slots=True, eq=False)
class Read:
    """A LIST under way; none is another one, however alike they are."""

    scope: Scope
    newest: int
    """The newest version that was seen of what it lists, meanwhile."""


class Recall:
    """See the module. All of it may be dropped at any time."""

    def __init__(self) -> None:
        self._listed: dict[Scope, _Listed] = {}
        self._reads: dict[Scope, list[Read]] = {}
        self._alike: dict[str, bytes] = {}
        """By kind: one LIST of it, by which all others are packed. They're much alike."""

    def touch(self, obj: Mapping[str, Any], version: int) -> None:
        """Something was seen of this object: whatever lists it has to show that version."""
        for scope in _scopes(obj):
            if scope in self._listed and self._listed[scope].version < version:
                del self._listed[scope]
            for read in self._reads.get(scope, ()):
                read.newest = max(version, read.newest)

    @contextlib.contextmanager
    def reading(self, scope: Scope, least: int) -> Iterator[Read]:
        """While a LIST is read. `least`: the version that it has to show already."""
        read = Read(scope, least)
        under_way = self._reads.setdefault(scope, [])
        under_way.append(read)
        try:
            yield read
        finally:
            under_way.remove(read)
            if not under_way:
                del self._reads[scope]

    def keep(self, read: Read, found: Objects) -> None:
        """The LIST as the server answered it."""
        if not _is_touched(read.scope) or found.version < read.newest:
            # Nobody would tell that it's old; or something happened meanwhile.
            return
        if len(self._listed) >= MOST:
            self.forget()
        listed = self._listed.get(read.scope)
        if listed is not None and listed.version > found.version:
            return  # another one was read beside it, later
        self._listed[read.scope] = _Listed(found.version, self._packed(read.scope[0], found))

    def find(self, scope: Scope, least: int) -> Objects | None:
        """The LIST, where it shows all that was seen; and not one of before the version `least`."""
        listed = self._listed.get(scope)
        if listed is None or listed.version < least:
            return None
        return Objects(self._unpacked(scope[0], listed.packed), listed.version)

    def forget(self) -> None:
        """Drops everything, and what is being read: whatever is doubted may concern that too."""
        for read in itertools.chain.from_iterable(self._reads.values()):
            read.newest = sys.maxsize
        self._listed.clear()
        self._alike.clear()

    def _packed(self, kind: str, found: Objects) -> bytes:
        if not found:
            return b""
        text = orjson.dumps(found)
        packing = zlib.compressobj(1, zdict=self._alike.setdefault(kind, text[-WINDOW:]))
        return packing.compress(text) + packing.flush()

    def _unpacked(self, kind: str, packed: bytes) -> list[Any]:
        if not packed:
            return []
        found: list[Any] = orjson.loads(zlib.decompressobj(zdict=self._alike[kind]).decompress(packed))
        return found


def _is_touched(scope: Scope) -> bool:
    """Whether `_scopes` names it for the objects that it shows."""
    kind, _, labels = scope
    by = labels.partition("=")[0]
    return not labels or by in LABELS or (kind, labels) == (CONTROLLERREVISION.kind, COPIES)


def _scopes(obj: Mapping[str, Any]) -> Iterator[Scope]:
    """Every LIST of ours that shows the object; also those that did until a hand took its label away."""
    metadata = obj["metadata"]
    kind, namespace, labels = obj["kind"], metadata.get("namespace", ""), metadata.get("labels") or {}
    yield kind, namespace, ""
    if kind == CONTROLLERREVISION.kind:
        # Whatever its role is now: a hand may have changed it.
        yield kind, namespace, COPIES
    controllers = {
        owner["kind"]: owner.get("name")
        for owner in metadata.get("ownerReferences") or ()
        if owner.get("controller")
    }
    for label, owner in LABELS.items():
        names = {labels.get(label), controllers.get(owner)} - {None, ""}
        if names:
            yield kind, namespace, label
        for name in names:
            yield kind, namespace, f"{label}={name}"
