"""What may go wrong, as a table: each fault says what it means and at which moments of a run it may strike.

A fault becomes the edges of an operator's process: what happens to its requests, its events and its time. It
knows nothing of what a run is about; the only things it may do to the cluster are a user's.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pointsman.api import names
from pointsman.kube.protocol import AlreadyExists, Conflict, Forbidden, Kube, Objects, Retryable
from pointsman.kube.store import Address, Stored, WatchEvent, address_of
from pointsman.kube.twin import MemoryKube
from tests.simulation.cluster import NAMESPACE
from tests.simulation.faults.process import Edges
from tests.simulation.faults.proxy import Carry, Crash, Request

if TYPE_CHECKING:
    from tests.simulation.faults.acts import Act
    from tests.simulation.faults.site import Site


class Moment(enum.Enum):
    """What is counted to say when a fault strikes."""

    WRITE = "write"
    READ = "read"
    EVENT = "watch event"
    SEED = "seed"
    """Not one moment but the whole run, drawn from a seed."""


class Compared(enum.Enum):
    """What a run's end must equal."""

    SAME = "the end without the fault"
    BEGINNING = "the state the scenario began with"
    NOTHING = "nothing: what was there is gone"
    FREE = "anything: what must hold at each instant is enough"


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault at one moment of one run."""

    at: int
    site: Site
    revert: Act | None = None


Befall = Callable[[Request, Kube, Carry], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table."""

    name: str
    oracle: str
    """The oracle of craft that runs with this fault answer to."""
    means: str
    moment: Moment
    edges: Callable[[Strike], Edges]
    compared: Compared = Compared.SAME
    operators: int = 1
    lenient: bool = False
    """Routes may lag behind for a while: the process was shown the past, or nothing of the present."""
    resyncs: int = 0
    """How many re-lists it may take to the end."""
    stride: int = 1
    """Only every so many moments are struck: there are many, and neighbours are alike."""


def _at(strike: Strike, befall: Befall, *, writes: bool = True) -> Edges:
    seen = 0

    async def happening(request: Request, kube: Kube, carry: Carry) -> Any:
        nonlocal seen
        if request.writes is writes:
            seen += 1
            if seen == strike.at:
                strike.site.tell(f"STRUCK: {request.verb} {request.kind} {request.name}")
                return await befall(request, kube, carry)
        return await carry(kube)

    return Edges(happening)


def _refused(error: Callable[[Request], Exception]) -> Callable[[Strike], Edges]:
    async def befall(request: Request, kube: Kube, carry: Carry) -> Any:
        raise error(request)

    return lambda strike: _at(strike, befall)


def _carried(error: Callable[[], BaseException]) -> Callable[[Strike], Edges]:
    async def befall(request: Request, kube: Kube, carry: Carry) -> Any:
        await carry(kube)
        raise error()

    return lambda strike: _at(strike, befall)


def _crash_before(strike: Strike) -> Edges:
    async def befall(request: Request, kube: Kube, carry: Carry) -> Any:
        raise Crash

    return _at(strike, befall)


class _Past(MemoryKube):
    """What was stored once. Whoever asks for something newer isn't told that it isn't."""

    async def list(
        self,
        resource: names.Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
    ) -> Objects:
        return await super().list(resource, namespace, labels=labels, fields=fields)


def _past(began: Mapping[Address, Stored], changes: Sequence[tuple[int, WatchEvent]]) -> _Past:
    """The cluster that `began` as it did, after these changes."""
    past = _Past()
    past.store.begin_at(began, changes[-1][0] if changes else 0)
    for _, event in changes:
        obj = event.object
        resource = names.RESOURCES.get(obj["kind"], names.EVENT)
        at = address_of(resource, obj["metadata"].get("namespace"), obj["metadata"]["name"])
        if event.type == "DELETED":
            past.store.objects.pop(at, None)
        else:
            past.store.objects[at] = Stored(obj)
    return past


def _stale(strike: Strike) -> Edges:
    """Answers from as many changes ago as the moment's number gives, one to eight."""
    back, site = 1 + strike.at % 8, strike.site
    began = dict(site.kube.store.objects)

    async def befall(request: Request, kube: Kube, carry: Carry) -> Any:
        return await carry(_past(began, site.kube.store.history[:-back]))

    return _at(strike, befall, writes=False)


def _lagging(strike: Strike) -> Edges:
    """The server's cache lags behind by up to half a second, three, or ten. It shows what it has, as soon as
    that isn't older than what it is asked for; consistent reads aren't concerned."""
    draw, site = random.Random(strike.at), strike.site
    most = (0.5, 3.0, 10.0)[strike.at % 3]
    began, start = dict(site.kube.store.objects), site.kube.store.version

    async def happening(request: Request, kube: Kube, carry: Carry) -> Any:
        if request.since is None:
            return await carry(kube)
        shown = max(request.since, site.version_ago(draw.random() * most))
        if shown <= start:
            return await carry(kube)
        changes = [change for change in site.kube.store.history if change[0] <= shown]
        return await carry(_past(began, changes))

    return Edges(happening, lag=most)


def _lost(strike: Strike, *, from_then_on: bool) -> Edges:
    seen = 0

    def lost() -> bool:
        nonlocal seen
        seen += 1
        return seen >= strike.at if from_then_on else seen == strike.at

    return Edges(lost=lost)


def _disorder(strike: Strike) -> Edges:
    """Requests and events take up to a second, or to ten, or to a tenth: passes interleave in other ways."""
    draw = random.Random(strike.at)
    most = (0.1, 1.0, 4.0)[strike.at % 3]
    return Edges(delay=lambda: draw.random() * most)


def _pauses(strike: Strike) -> Edges:
    """Now and then a request hangs for as long as a change takes: what was read before it is old after it."""
    draw = random.Random(strike.at)

    def delay() -> float:
        return draw.uniform(2.0, 12.0) if draw.random() < 0.12 else draw.random() * 0.2

    return Edges(delay=delay)


def _user(act: Callable[[Strike], Act]) -> Callable[[Strike], Edges]:
    """A user acts right after the write, and whatever else the scenario holds doesn't happen any more."""

    def edges(strike: Strike) -> Edges:
        async def befall(request: Request, kube: Kube, carry: Carry) -> Any:
            try:
                return await carry(kube)
            finally:
                # Also where it was refused.
                strike.site.interrupted = True
                await act(strike).do(strike.site)

        return _at(strike, befall)

    return edges


def _reverted(strike: Strike) -> Act:
    assert strike.revert is not None
    return strike.revert


def _deleted(strike: Strike) -> Act:
    from tests.simulation.faults.acts import delete

    return delete("LLMService", "chat")


def _swapped(strike: Strike) -> Edges:
    """Right before the write somebody puts an object of the same name in the place of the one it's about."""
    site = strike.site

    async def befall(request: Request, kube: Kube, carry: Carry) -> Any:
        there = site.find(request.kind, request.name)
        if there is not None and request.kind not in ("LLMService", "LLMRouter", "LLMModel", "Event"):
            resource = names.RESOURCES[request.kind]
            site.kube.store.remove(address_of(resource, NAMESPACE, request.name))
            metadata = {"name": request.name, "namespace": NAMESPACE, "labels": {"whose": "theirs"}}
            theirs = {k: v for k, v in there.items() if k != "status"} | {"metadata": metadata}
            await site.kube.create(theirs, manager="them")
        return await carry(kube)

    return _at(strike, befall)


def _conflict(request: Request) -> Exception:
    return AlreadyExists("it is there") if request.verb == "create" else Conflict("it has been modified")


_ROWS = (
    Fault("crash-before", "O2", "the process dies before the write", Moment.WRITE, _crash_before),
    Fault("crash-after", "O2", "the process dies after the write", Moment.WRITE, _carried(Crash)),
    Fault("409", "O5", "the write is answered by a conflict", Moment.WRITE, _refused(_conflict)),
    Fault(
        "429",
        "O5",
        "the write is answered by too many requests",
        Moment.WRITE,
        _refused(lambda request: Retryable("too many requests", 1.0)),
    ),
    Fault(
        "500",
        "O5",
        "the write is answered by a server's error",
        Moment.WRITE,
        _refused(lambda request: Retryable("internal error")),
    ),
    Fault(
        "403",
        "O5",
        "the write is forbidden once, by a quota or a webhook",
        Moment.WRITE,
        _refused(lambda request: Forbidden("admission webhook denied the request")),
    ),
    Fault(
        "timeout",
        "O5",
        "the write is carried out, and the answer lost",
        Moment.WRITE,
        _carried(lambda: Retryable("timed out")),
    ),
    Fault(
        "lost-event",
        "O3",
        "one watch event is lost",
        Moment.EVENT,
        lambda strike: _lost(strike, from_then_on=False),
        resyncs=1,
    ),
    Fault(
        "lost-events",
        "O3",
        "every watch event from then on is lost",
        Moment.EVENT,
        lambda strike: _lost(strike, from_then_on=True),
        lenient=True,
        resyncs=5,
        stride=5,
    ),
    Fault(
        "stale-read",
        "O4",
        "one read is answered from the past",
        Moment.READ,
        _stale,
        lenient=True,
        resyncs=1,
        stride=11,
    ),
    Fault(
        "lagging",
        "O4",
        "every read that needn't be consistent shows as old a state as it may",
        Moment.SEED,
        _lagging,
        lenient=True,
    ),
    Fault("disorder", "O6", "requests and events take their time", Moment.SEED, _disorder),
    Fault(
        "two-operators",
        "O12",
        "two processes work at once",
        Moment.SEED,
        _pauses,
        operators=2,
        lenient=True,
    ),
    Fault(
        "reverted",
        "O7",
        "the user goes back to the former spec right after the write",
        Moment.WRITE,
        _user(_reverted),
        compared=Compared.BEGINNING,
    ),
    Fault(
        "deleted",
        "O16",
        "the user deletes the service right after the write",
        Moment.WRITE,
        _user(_deleted),
        compared=Compared.NOTHING,
    ),
    Fault(
        "swapped",
        "O15",
        "somebody else's object takes the place of ours right before the write",
        Moment.WRITE,
        _swapped,
        compared=Compared.FREE,
        lenient=True,
    ),
)

FAULTS = {fault.name: fault for fault in _ROWS}
SEEDS = 8
"""Whole-run faults are drawn so many times per scenario."""
