"""What a huge answer costs the router's process while its client reads slowly: next to nothing.

Measured on a process of its own, by the highest resident size the kernel saw.
"""

import asyncio
import re
from pathlib import Path

import pytest

from tests.router.alone.running import running, write
from tests.router.engine import SSE_HEAD, Turn, chunk, event
from tests.router.stack import CHAT, STREAM, Stack, configuration, service, variant

MIB = 1024 * 1024
SIZE = 200 * MIB
PIECE = 64 * 1024
GROWTH = 4 * MIB
"""Buffers of both connections, what one read brings, and some air."""
SLOW_READS = 60

SHAPES = {
    "a length": (CHAT, b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % SIZE, bytes(PIECE), b""),
    "chunks": (
        CHAT,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        chunk(bytes(PIECE)),
        b"0\r\n\r\n",
    ),
    "small events": (STREAM, SSE_HEAD, chunk(event({"text": "x" * 100})) * 500, b"0\r\n\r\n"),
    "one endless event": (STREAM, SSE_HEAD, chunk(b"x" * PIECE), b"0\r\n\r\n"),
}


def _peak(pid: int) -> int:
    """The highest resident size since `_forget`, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def _forget(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_slow_reader_of_a_huge_answer_costs_a_few_buffers(
    stack: Stack, tmp_path: Path, shape: str
) -> None:
    request, head, piece, end = SHAPES[shape]
    written = 0

    async def flood(turn: Turn) -> None:
        nonlocal written
        await turn.write(head)
        while written < SIZE:
            await turn.write(piece)
            written += len(piece)
        await turn.write(end)

    engine = await stack.engine(flood)
    file = tmp_path / "router.yaml"
    write(file, configuration(service("chat", variant("v", engine))))
    async with running(f"--config={file}") as router:
        assert await router.status("/readyz") == 200
        client = await router.client()
        pid = router.process.pid
        _forget(pid)
        before = _peak(pid)
        await client.send(request)
        got = 0
        for _ in range(SLOW_READS):
            got += len(await client.reader.read(PIECE // 4))
            await asyncio.sleep(0.01)
        assert written < SIZE // 4, "the engine is held up"
        data = b""
        while not (data.endswith(end) and written >= SIZE and got >= SIZE * 3 // 4):
            data = await asyncio.wait_for(client.reader.read(1 << 20), 10)
            assert data, f"cut after {got} bytes"
            got += len(data)
        assert _peak(pid) - before < GROWTH
        client.close()
