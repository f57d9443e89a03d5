"""The few questions that a bring-up asks an API server: is it ready, is an object there.

Standard library only, with the cluster's own administrator certificate. Everything else goes through kubectl.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from e2e.cluster.instance import ClusterError


class Api:
    """Reads from the API server at `url` as the administrator whose certificate lies in `pki`."""

    def __init__(self, url: str, pki: Path) -> None:
        self._url = url
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        # An opener of our own: the default one would send even loopback requests to the caller's proxy.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def text(self, path: str, timeout_s: float = 5.0) -> str | None:
        """The answer to a GET, or None where there is no 200."""
        try:
            with self._opener.open(self._url + path, timeout=timeout_s) as answer:
                return str(answer.read().decode())
        except (OSError, urllib.error.URLError):
            return None

    def get(self, path: str) -> dict[str, Any] | None:
        """The object at `path`, or None where it cannot be had."""
        text = self.text(path)
        return json.loads(text) if text else None

    def ready(self) -> bool:
        return self.text("/readyz") == "ok"


def wait(what: str, holds: Callable[[], bool], within_s: float, every_s: float = 0.1) -> None:
    """Returns once `holds()`; raises ClusterError, naming `what`, after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not within {within_s:.0f} s")
        time.sleep(every_s)
