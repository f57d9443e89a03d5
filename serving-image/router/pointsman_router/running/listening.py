"""The public port: one address, served in plain text or over TLS as the configuration has it now.

Whatever changes (TLS on or off, another certificate, another time for handshakes), the port is handed from
one server to the next without a moment in which it refuses. It is closed only before there is a
configuration, and while TLS is asked for and there is no certificate: nothing is then answered in the clear.
Knows the router's table, nothing of where it comes from.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pointsman_router.answering.downstream import Downstream
from pointsman_router.router import Router
from pointsman_router.running.handshakes import Handshakes
from pointsman_router.running.watching import PERIOD_SECONDS
from pointsman_router.settings import Tls

if TYPE_CHECKING:
    from ssl import SSLContext

    from pointsman_router.running.tls import Certificate

BACKLOG: Final = 4096
_GOODBYE_SECONDS: Final = 2.0
"""How long a client may take to answer the end of TLS with its own."""

logger = logging.getLogger("pointsman_router.listening")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a port is. Without a host: on all addresses, of both IP versions where the machine has both."""

    host: str
    port: int
    reuse_port: bool = False
    """Whether other processes may listen on it too; the kernel spreads connections over them."""


def bind(address: Address) -> socket.socket:
    """A socket that has the port, and doesn't listen yet. Raises OSError."""
    if address.host:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return _bind(family, address)
    if socket.has_dualstack_ipv6():
        try:
            return _bind(socket.AF_INET6, address)
        except OSError as error:
            logger.info("listening on IPv4 only: %s", error)
    return _bind(socket.AF_INET, address)


def _bind(family: socket.AddressFamily, address: Address) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if address.host else 0)
        sock.bind((address.host, address.port))
    except OSError:
        sock.close()
        raise
    return sock


def port_of(sock: socket.socket) -> int:
    """The port a socket has, also where the kernel chose it."""
    port: int = sock.getsockname()[1]
    return port


@dataclass(frozen=True, slots=True)
class _Way:
    """How the port is served."""

    context: SSLContext | None
    handshake_seconds: float


class PublicPort:
    """Serves a router's public port. Owns its socket."""

    def __init__(self, router: Router, address: Address) -> None:
        """Raises OSError where the port can't be had."""
        self._router = router
        self._sock: socket.socket | None = bind(address)
        self.address = Address(address.host, port_of(self._sock), address.reuse_port)
        self._certificate: Certificate | None = None
        self._server: asyncio.Server | None = None
        self._way: _Way | None = None
        self._leaving: set[Downstream] = set()
        """Connections of the other kind (plain, TLS) than the port is now; they end as they become idle."""
        self._handshakes = Handshakes(router.accept, self._handshake_ended)
        self._crowded = False
        """Whether so many handshakes are under way that further connections wait in the kernel."""
        self._stopped = False
        self._news = asyncio.Event()
        router.state.changed = self._news.set
        router.closed_because = "no configuration yet"

    async def follow(self) -> None:
        """Serves as the configuration says, until cancelled."""
        while True:
            try:
                await self.update()
            except Exception:
                # It goes on as it is, and tries again.
                logger.exception("could not change how port %d is served", self.address.port)
            try:
                # Not wait_for: until Python 3.12 it can swallow the cancellation that ends this.
                async with asyncio.timeout(PERIOD_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                pass  # files change without news
            self._news.clear()

    async def update(self) -> None:
        """Serves as the configuration says now."""
        if self._stopped or not self._router.state.configured:
            return
        way = self._wanted()
        if way is None:
            self._router.closed_because = self._router.tls_error
        self._mind_the_crowd()
        if way != self._way and not self._crowded:
            try:
                await self._change(way)
            except OSError as error:
                self._router.closed_because = f"can't listen on port {self.address.port}: {error}"
                logger.error("%s", self._router.closed_because)
        self._leaving &= self._router.connections
        for connection in tuple(self._leaving):
            connection.drain()

    def stop(self) -> None:
        """Takes no connections any more. Those there are stay."""
        self._stopped = True
        self._close()

    def _begin_handshake(self) -> asyncio.Protocol:
        if self._handshakes.pending >= self._router.state.table.limits.max_connections:
            self._news.set()
        return self._handshakes.begin()

    def _handshake_ended(self) -> None:
        if self._crowded:
            self._news.set()

    def _mind_the_crowd(self) -> None:
        """Takes no connections while too many greet: they wait where they cost next to nothing."""
        crowded = self._handshakes.pending >= self._router.state.table.limits.max_connections
        if crowded and not self._crowded and self._server is not None:
            self._router.stats.hit("max_connections")
            logger.warning("%d TLS handshakes are under way: others wait", self._handshakes.pending)
            self._server.close()
            self._server = self._way = None
        self._crowded = crowded

    def _wanted(self) -> _Way | None:
        """How the port is to be served; None: not at all."""
        router = self._router
        files, seconds = router.state.table.tls, router.state.table.limits.tls_handshake_seconds
        if not files.cert_file:
            self._certificate, router.tls_error = None, ""
            return _Way(None, seconds)
        context = self._refreshed(files)
        return None if context is None else _Way(context, seconds)

    def _refreshed(self, files: Tls) -> SSLContext | None:
        """What to serve with after a look at the files; None as long as they were never any good."""
        from pointsman_router.running.tls import Certificate  # takes a while, and most do without

        last = self._certificate
        if last is None or last.files != files:
            looked, self._certificate = True, Certificate(files)
            if last is not None and self._certificate.context is None:
                self._certificate.context = last.context
        else:
            looked = last.refresh()
        certificate = self._certificate
        assert certificate is not None
        if looked and certificate.error:
            logger.error("certificate refused: %s", certificate.error)
        elif looked:
            logger.info("serving the certificate in %s", files.cert_file)
        self._router.tls_error = certificate.error
        return certificate.context

    async def _change(self, way: _Way | None) -> None:
        """Hands the port over."""
        router, before = self._router, self._way
        if way is None:
            self._close()
        else:
            if self._sock is None:
                self._sock = bind(self.address)
            server = await asyncio.get_running_loop().create_server(
                self._begin_handshake if way.context else router.accept,
                sock=self._sock.dup(),
                backlog=BACKLOG,
                ssl=way.context,
                ssl_handshake_timeout=way.handshake_seconds if way.context else None,
                ssl_shutdown_timeout=_GOODBYE_SECONDS if way.context else None,
            )
            # The new server listens already, on the same socket, when the old one stops.
            if self._server is not None:
                self._server.close()
            self._server = server
            router.closed_because = ""
            if self._stopped:
                self._close()
        self._way = way
        if before is not None and (way is None or (before.context is None) != (way.context is None)):
            self._leaving |= router.connections

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._sock is not None:
            self._sock.close()
            self._sock = None
