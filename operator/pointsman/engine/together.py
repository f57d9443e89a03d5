"""Reads that several passes want at the same time, done once for all of them.

Nobody gets what was read before it asked: a read that has begun takes nobody more, and who comes later waits
for the next one, together with all others who do. So what is shared is as fresh as what each would have read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar, cast

Found = TypeVar("Found")


class Together:
    """For each key at most one read under way, and one that is yet to begin."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}
        self._to_begin: dict[Hashable, asyncio.Task[Any]] = {}

    async def read(self, key: Hashable, read: Callable[[], Awaitable[Found]]) -> Found:
        """What a read of `key` gives that begins after this call. Raises whatever it raises.

        `read` has to be the same for all that ask by the same key.
        """
        task = self._to_begin.get(key)
        if task is None:
            task = asyncio.create_task(self._begin(key, read))
            # It fails for those who wait; when all of them have gone, for nobody.
            task.add_done_callback(_looked_at)
            self._to_begin[key] = task
        # One who is cut off mustn't take the read from the others.
        return cast(Found, await asyncio.shield(task))

    async def _begin(self, key: Hashable, read: Callable[[], Awaitable[Found]]) -> Found:
        before = self._under_way.get(key)
        if before is not None:
            await asyncio.wait({before})
        self._under_way[key] = self._to_begin.pop(key)
        try:
            return await read()
        finally:
            del self._under_way[key]


def _looked_at(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
