"""A bare kopf watcher: the operator's watches with its settings, and handlers that do nothing.

`python -m bench.reconcile.watcher KUBECONFIG`. What it needs of memory, nobody who watches these objects by
kopf can do without.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import kopf

from pointsman.api.names import Resource
from pointsman.app import watching
from pointsman.kube import config


async def run(kubeconfig: str) -> None:
    """Watches until the process is ended."""

    async def login() -> config.Access:
        return await config.access(await config.load(kubeconfig))

    def ignore(resource: Resource, kind: str | None, obj: Mapping[str, Any]) -> None:
        pass

    await kopf.operator(
        registry=watching.registry(login, ignore),
        settings=watching.settings(),
        standalone=True,
        clusterwide=True,
    )


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
