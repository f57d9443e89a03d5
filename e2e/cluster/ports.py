"""Loopback ports of an instance.

Derived from its name, so that they stay the same from one `up` to the next and differ between two checkouts.
Below the range that the kernel hands to clients, so that a listener never meets an outgoing connection.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

FIRST, LAST, BLOCK = 20_000, 30_000, 5


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one control plane, in the order they are numbered from `api` on."""

    api: int
    etcd: int
    etcd_peer: int
    controller_manager: int
    scheduler: int

    @classmethod
    def starting_at(cls, first: int) -> Ports:
        return cls(*range(first, first + BLOCK))


IN_NODE = Ports(api=6443, etcd=2379, etcd_peer=2380, controller_manager=10257, scheduler=10259)
"""Inside the node's own network namespace everything stands where Kubernetes puts it."""


def candidates(name: str) -> Iterator[Ports]:
    """Every block of ports once, the one that `name` hashes to first."""
    blocks = (LAST - FIRST) // BLOCK
    start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % blocks
    for step in range(blocks):
        yield Ports.starting_at(FIRST + (start + step) % blocks * BLOCK)


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(name: str, free: Callable[[int], bool] = is_free) -> Ports:
    """The first block for `name` of which every port is free."""
    for ports in candidates(name):
        if all(free(port) for port in range(ports.api, ports.api + BLOCK)):
            return ports
    raise OSError(f"no {BLOCK} neighbouring loopback ports are free between {FIRST} and {LAST}")
