"""What `pointsman rollout` and `pointsman plan` take. Apart, so that no other command imports a client."""

from __future__ import annotations

import argparse


def add_rollout_to(parser: argparse.ArgumentParser) -> None:
    """Adds what `rollout` takes."""
    parser.add_argument("name", help="name of the LLMService")
    parser.add_argument(
        "-w", "--watch", action="store_true", help="stay and redraw, until the rollout has ended"
    )
    parser.add_argument(
        "--interval", type=float, default=2.0, help="seconds between looks while watching (default: 2)"
    )
    _add_cluster_to(parser)


def add_plan_to(parser: argparse.ArgumentParser) -> None:
    """Adds what `plan` takes."""
    parser.add_argument(
        "-f",
        "--filename",
        required=True,
        help="manifest of LLMServices and what they name; - reads standard input",
    )
    parser.add_argument(
        "--operator-namespace",
        default="pointsman-system",
        help="where the operator runs, whose settings are taken (default: pointsman-system)",
    )
    _add_cluster_to(parser)


def _add_cluster_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--namespace", default="", help="default: that of the kubeconfig's context")
    parser.add_argument(
        "--kubeconfig", default="", help="outside a pod (default: $KUBECONFIG, ~/.kube/config)"
    )
    parser.add_argument("--context", default="", help="context in that kubeconfig (default: its current one)")
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="default: on a terminal, unless NO_COLOR is set",
    )
