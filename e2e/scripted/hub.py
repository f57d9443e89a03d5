"""A model hub in a pod, for scenarios about downloads: the stand-in of the engine's own tests, on real ports.

    python -m e2e.scripted.hub CDN_URL

`acme/quick` is small; `acme/slow` comes at a megabyte a second; `acme/private` needs the token `good`.
"""

from __future__ import annotations

import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

from tests.engine.hub_server import HubServer, Repo, handler
from tests.engine.models import safetensors

MODEL = Path("/models/scripted")
PORTS = (8080, 8081)
"""The hub's own, and that of the other host that it sends its clients to for big files."""
SLOW_BYTES = 24 * 1024**2
SLOW_RATE = 1024**2


def repositories(model: Path) -> dict[str, Repo]:
    """What this hub has: the scripted model, with weights of several sizes."""
    files = {path.name: path.read_bytes() for path in model.iterdir() if path.is_file()}
    small = {**files, "model.safetensors": safetensors()}
    big = {**files, "model.safetensors": safetensors(SLOW_BYTES)}
    return {
        "acme/quick": Repo(small),
        "acme/slow": Repo(big, bytes_per_second=SLOW_RATE),
        "acme/private": Repo(small, token="good"),
    }


def main(cdn: str) -> None:
    hub = HubServer(repositories(MODEL), cdn=cdn)
    servers = [ThreadingHTTPServer(("", port), handler(hub)) for port in PORTS]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
