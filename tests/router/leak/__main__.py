"""200,000 mixed requests to one router process: its memory must not grow. `make leak`.

Memory is compared between the time when pools, caches and the allocator have settled and the end; open files
and what is in flight must be back at nothing.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import IO

import uvloop

from tests.router.leak.mixture import KINDS, Engine, Kind, ask
from tests.router.stack import RawClient, configuration, get, service, variant

CLIENTS = 32
SAMPLES = 20
SETTLED = 0.4
"""Share of the requests after which memory should stay as it is."""
MAX_GROWTH_KIB = 1024
"""What the allocator may still add from then on: of 200,000 requests, nine bytes kept of each would show."""


def rss_kib(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


@asynccontextmanager
async def router(engines: list[str]) -> AsyncIterator[tuple[int, int, int]]:
    """A router process on these engines: its pid, port and admin port."""
    document = configuration(
        service("chat", variant("v", *engines), names=["chat", "alias"]), failures=1000, budgetPercent=100
    )
    listening = {"listen": {"host": "127.0.0.1", "port": 0}, "admin": {"host": "127.0.0.1", "port": 0}}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(json.dumps(document | listening))
        file.flush()
        with _started(file.name) as process:
            assert process.stderr is not None
            try:
                port, admin = await asyncio.wait_for(asyncio.to_thread(_ports, process.stderr), 20)
                # A router whose log nobody reads stops at the line for which the pipe has no room.
                rest = asyncio.create_task(asyncio.to_thread(process.stderr.read))
                yield process.pid, port, admin
            finally:
                process.terminate()
                await asyncio.to_thread(process.wait)
            print(f"{len(await rest):>8} bytes of log", flush=True)


def _started(file: str) -> subprocess.Popen[bytes]:
    """A plain child, waited for in a thread: what becomes of it mustn't hang on the loop that asks it."""
    command = (sys.executable, "-m", "pointsman_router", f"--config={file}")
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _ports(log: IO[bytes]) -> tuple[int, int]:
    for line in log:
        if found := re.search(rb"port (\d+), admin port (\d+)", line):
            return int(found[1]), int(found[2])
    raise AssertionError("the router did not start")


class Load:
    """Sends a mixture until the given number of requests has been asked."""

    def __init__(self, port: int, total: int, seed: int) -> None:
        self.port = port
        self.left = total
        self.done: Counter[str] = Counter()
        self._random = Random(seed)
        self._shares = [kind.share for kind in KINDS]

    def _next(self) -> Kind:
        kind: Kind = self._random.choices(KINDS, self._shares)[0]
        return kind

    async def client(self) -> None:
        """One client: keeps its connection as long as it can."""
        connection: RawClient | None = None
        while self.left > 0:
            kind = self._next()
            self.left -= kind.answers
            if connection is None:
                connection = RawClient(*await asyncio.open_connection("127.0.0.1", self.port))
            if not await ask(kind, connection):
                connection.close()
                connection = None
            self.done[kind.name] += 1
        if connection is not None:
            connection.close()


async def measure(total: int, seed: int = 1) -> dict[str, object]:
    """Runs the load and reports. Raises AssertionError where an answer was wrong or something was left."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Engine, "127.0.0.1", 0) for _ in range(2)]
    engines = [f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers]
    async with router(engines) as (pid, port, admin):
        load = Load(port, total, seed)
        tasks = [asyncio.create_task(load.client()) for _ in range(CLIENTS)]
        memory = await _watch(load, tasks, pid, total)
        await asyncio.gather(*tasks)
        await asyncio.sleep(6)  # idle connections to engines are closed
        left = await _left(pid, admin)
    for server in servers:
        server.close()
    settled = memory[int(len(memory) * SETTLED) :]
    return {
        "requests": total,
        "kinds": len(load.done),
        "rssKiB": memory,
        "growthKiB": max(settled) - settled[0],
        **left,
    }


async def _watch(load: Load, tasks: list[asyncio.Task[None]], pid: int, total: int) -> list[int]:
    memory: list[int] = []
    while len(memory) < SAMPLES and not all(task.done() for task in tasks):
        if total - load.left >= total * (len(memory) + 1) / SAMPLES:
            memory.append(rss_kib(pid))
            print(f"{total - load.left:>8} requests: {memory[-1] / 1024:.1f} MiB", flush=True)
        await asyncio.sleep(0.02)
    return memory


async def _left(pid: int, admin: int) -> dict[str, object]:
    client = RawClient(*await asyncio.open_connection("127.0.0.1", admin))
    signals = (await client.ask(get("/signals"))).document
    client.close()
    sockets = sum("socket:" in str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir())
    in_flight = sum(one["inFlight"] for one in signals["services"]["chat"]["variants"].values())
    return {"inFlight": in_flight, "sockets": sockets}


def main() -> None:
    """The command. Exits with 1 when memory grew or something was left."""
    parser = argparse.ArgumentParser("leak", description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    report = uvloop.run(measure(parser.parse_args().requests))
    print(json.dumps(report))
    growth, left = report["growthKiB"], report["inFlight"]
    assert isinstance(growth, int)
    sys.exit(0 if growth < MAX_GROWTH_KIB and left == 0 else "the router kept something it should let go of")


if __name__ == "__main__":
    main()
