"""Runs the fetching process (fetch.py) and passes on what it says; ends it when nobody waits any more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable

from pointsman_engine.outcome import Reason, StartFailure
from pointsman_engine.settings import REMOTE, Settings


async def fetch(
    settings: Settings, progress: Callable[[int, int], None], on_start: Callable[[int], object]
) -> None:
    """Brings the weights into the model's directory. `progress` gets bytes done and in total, `on_start` the
    process id.

    Raises StartFailure. A Secret that is wrong counts as a failed download here: the reasons of engines have
    no other for it.
    """
    name = settings.source.removeprefix(REMOTE).strip("/")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pointsman_engine.fetch", name, settings.commit, str(settings.model_dir)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    on_start(process.pid)
    assert process.stdout is not None
    last: dict[str, object] = {}
    try:
        async for line in process.stdout:
            with contextlib.suppress(ValueError):
                last = json.loads(line)
            if "total" in last:
                progress(int(str(last["done"])), int(str(last["total"])))
        code = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if last.get("complete"):
        return
    reason = Reason(str(last.get("reason", Reason.WEIGHTS_DOWNLOAD_FAILED)))
    if reason is Reason.SECRET_INVALID:
        reason = Reason.WEIGHTS_DOWNLOAD_FAILED
    raise StartFailure(reason, str(last.get("message") or f"the download ended with status {code}"))
