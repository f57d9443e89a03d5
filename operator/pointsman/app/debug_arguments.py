"""What can be said to `pointsman debug`. A module of its own, so that no other command imports a client."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final

from pointsman.api import names

KINDS: Final[Mapping[str, str]] = {
    "service": names.LLMSERVICE.kind,
    "router": names.LLMROUTER.kind,
    "model": names.LLMMODEL.kind,
    "prompt": names.PROMPTVERSION.kind,
    "suite": names.PROMPTSUITE.kind,
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """Adds what stands below `debug`."""
    below = parser.add_subparsers(dest="debug", required=True)
    world = below.add_parser("world", help="write what a pass sees and decides about one object, as JSON")
    world.add_argument("name", help="name of the object")
    world.add_argument("-n", "--namespace", default="default", help="its namespace (default: default)")
    world.add_argument("--kind", choices=KINDS, default="service", help="its kind (default: service)")
    world.add_argument("-o", "--output", help="file to write (default: standard output)")
    world.add_argument(
        "--kubeconfig", default="", help="outside a pod (default: $KUBECONFIG, ~/.kube/config)"
    )
    world.add_argument("--context", default="", help="context in that kubeconfig (default: its current one)")
    world.add_argument(
        "--operator-namespace",
        default="pointsman-system",
        help="where the operator runs, whose settings are taken (default: pointsman-system)",
    )
    replay = below.add_parser("replay", help="decide again about such a file, and say what differs")
    replay.add_argument("file", help="what `debug world` wrote; - reads standard input")
    below.add_parser("queue", help="in the operator's pod: what waits and what runs")
