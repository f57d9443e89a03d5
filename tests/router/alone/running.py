"""A router as a process of its own: started from a file, asked, told by signals, and waited for."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.router.stack import Answer, RawClient, get

COMMAND = (sys.executable, "-m", "pointsman_router")
ANYWHERE: dict[str, Any] = {
    "listen": {"host": "127.0.0.1", "port": 0},
    "admin": {"port": 0},
    "acceptSeconds": 0,
}
"""What a file needs beside a configuration so that tests run side by side and stop at once."""


@dataclass
class Running:
    """A running `pointsman-router`."""

    process: asyncio.subprocess.Process
    port: int = 0
    admin_port: int = 0
    log: list[str] = field(default_factory=list)

    async def client(self, port: int = 0) -> RawClient:
        return RawClient(*await asyncio.open_connection("127.0.0.1", port or self.port))

    async def ask(self, data: bytes) -> Answer:
        """One request on a connection of its own."""
        client = await self.client()
        try:
            return await client.ask(data)
        finally:
            client.close()

    async def admin(self, path: str) -> Answer:
        client = await self.client(self.admin_port)
        try:
            return await client.ask(get(path))
        finally:
            client.close()

    async def status(self, path: str) -> int:
        return (await self.admin(path)).status

    async def becomes(self, path: str, status: int) -> None:
        """Waits until the admin port answers so."""
        deadline = time.monotonic() + 10
        while (found := await self.status(path)) != status:
            assert time.monotonic() < deadline, f"{path} still says {found}"
            await asyncio.sleep(0.02)

    async def until(self, words: str) -> str:
        """Reads its log until a line has these words."""
        assert self.process.stderr is not None
        while True:
            line = (await asyncio.wait_for(self.process.stderr.readline(), 10)).decode()
            assert line, f"it ended without {words!r}: {self.log}"
            self.log.append(line)
            if words in line:
                return line

    async def ended(self) -> int:
        assert self.process.stderr is not None
        self.log += (await asyncio.wait_for(self.process.stderr.read(), 10)).decode().splitlines()
        return await asyncio.wait_for(self.process.wait(), 10)


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Running]:
    """Starts it, whatever becomes of it; ended at the end at the latest."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
        process._transport.close()  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Running]:
    """Starts it, and waits until it has its ports."""
    async with started(*arguments) as router:
        await ports(router)
        yield router


async def ports(router: Running) -> None:
    """Waits until it has its ports."""
    found = re.search(r"port (\d+), admin port (\d+)", await router.until("admin port"))
    assert found is not None
    router.port, router.admin_port = int(found[1]), int(found[2])


def write(file: Path, document: dict[str, Any], **fields: Any) -> None:
    """The file of a router that runs alone. `fields`: of the process, beside the configuration."""
    file.write_text(yaml.safe_dump({**document, **ANYWHERE, **fields}))
