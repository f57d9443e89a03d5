"""Whose address a request has when it came through proxies.

X-Forwarded-For is a list that every proxy adds its own client to, so only what trusted proxies added may be
believed: read from the right, the first address that isn't a trusted proxy's is the client's. It goes into
the access log; engines are told nothing of it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

_MAX_HOPS: Final = 32
"""Entries of a list that are looked at."""


class Proxies:
    """The ranges of addresses whose word is believed."""

    __slots__ = ("_networks",)

    def __init__(self, ranges: Iterable[str]) -> None:
        self._networks = tuple(ip_network(one) for one in ranges)

    def trusts(self, address: str) -> bool:
        """Whether a connection from this address may speak for clients."""
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def client(self, chain: bytes) -> bytes:
        """The right-most address of an X-Forwarded-For that no trusted proxy has: the client's. Where all
        have one, the left-most; empty where the right-most is no address at all."""
        found = b""
        for entry in reversed(chain.decode("latin-1").split(",")[-_MAX_HOPS:]):
            parsed = _parse(_without_port(entry.strip()))
            if parsed is None:
                break  # whoever wrote this, what is left of it may be anybody's
            found = str(parsed).encode()
            if not any(parsed in network for network in self._networks):
                break
        return found


def compile_proxies(ranges: Iterable[str]) -> Proxies | None:
    """The proxies, or None where none is trusted."""
    proxies = Proxies(ranges)
    return proxies if proxies._networks else None


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _without_port(entry: str) -> str:
    """Some proxies add the port."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
