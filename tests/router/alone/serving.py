"""A stack whose public port is the router's own: opened, closed and handed over as its configuration says."""

import asyncio
import ssl
from typing import Any

from pointsman_router.running.listening import Address, PublicPort
from tests.router.alone.certificates import anyone, name_in
from tests.router.stack import RawClient, Stack, configuration, service, variant


class Serving:
    """The port, and what tests ask of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.router = stack.router
        self._port = PublicPort(self.router, Address("127.0.0.1", 0))
        self.port = stack.port = self._port.address.port
        self._following: asyncio.Task[None] | None = None
        self._clients: list[RawClient] = []

    async def start(self, **fields: Any) -> "Serving":
        """With a service `chat` on the stack's engines; `fields`: beside it in the configuration."""
        self.apply(**fields)
        self.router.state.replace_slices({})
        await self._port.update()
        self.router.start()
        self._following = asyncio.create_task(self._port.follow())
        return self

    def apply(self, **fields: Any) -> None:
        """Changes the configuration."""
        document = configuration(service("chat", variant("stable", *self.stack.engines)))
        assert self.router.state.apply_config({**document, **fields}), self.router.state.error

    async def client(self, context: ssl.SSLContext | None = None) -> RawClient:
        """A connection over TLS."""
        return await self._connect(context or anyone())

    async def plain(self) -> RawClient:
        """A connection in plain text."""
        return await self._connect(None)

    async def _connect(self, context: ssl.SSLContext | None) -> RawClient:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.port, ssl=context))
        self._clients.append(client)
        return client

    @property
    def handshakes(self) -> int:
        """How many are under way."""
        return self._port._handshakes.pending

    async def certificate(self) -> str:
        """The name in the certificate that a new connection is shown."""
        client = await self.client()
        shown = client.writer.get_extra_info("ssl_object").getpeercert(True)
        client.close()
        return name_in(shown)

    async def becomes(self, name: str) -> None:
        """Waits until new connections are shown this certificate."""
        for _ in range(200):
            if await self.certificate() == name:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"still {await self.certificate()}")

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        self._port.stop()
        for client in self._clients:
            client.close()
