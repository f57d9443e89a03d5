"""Routers that answer what a test tells them to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pointsman.signals.protocol import RawAnswer


class ScriptedSignals:
    """See `Signals`. What isn't scripted is unreachable."""

    def __init__(self) -> None:
        self.signals: dict[str, dict[str, Any]] = {}
        """`/signals` by admin address."""
        self.probes: dict[tuple[str, str], dict[str, Any]] = {}
        """Probe's answer by admin address and service."""
        self.listed: dict[str, list[str]] = {}
        """Model names by public address, with `https://` in front where it speaks TLS."""
        self.asked: list[tuple[str, ...]] = []
        """Every request, in order."""

    async def read(self, addresses: Sequence[str]) -> list[RawAnswer]:
        self.asked.extend(("signals", address) for address in addresses)
        return [_answer(address, self.signals.get(address)) for address in addresses]

    async def probe(self, address: str, service: str, variant: str | None = None) -> RawAnswer:
        self.asked.append(("probe", address, service, variant or ""))
        return _answer(address, self.probes.get((address, service)))

    async def models(self, address: str, *, tls: bool = False) -> RawAnswer:
        self.asked.append(("models", address))
        names = self.listed.get(f"https://{address}" if tls else address)
        return _answer(address, None if names is None else {"data": [{"id": name} for name in names]})


def _answer(address: str, body: dict[str, Any] | None) -> RawAnswer:
    return {"address": address, "reachable": body is not None, "body": body or {}}
