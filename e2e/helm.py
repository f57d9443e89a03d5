"""Installs the chart with Helm's own code, as people do, and without a helm binary.

The demo and the scenarios use it, and so can a hand: `python -m e2e.helm install --kubeconfig=FILE`. Always
with a kubeconfig that was named: whatever cluster the environment points to is not ours to touch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import yaml

CHART = Path(__file__).resolve().parent.parent / "charts" / "pointsman"
NAMESPACE = "pointsman-system"
RELEASE = "pointsman"
PATIENCE = 300
"""Seconds to wait for an action by default."""


@dataclass(frozen=True, slots=True)
class Helm:
    """One release of the chart on one cluster."""

    kubeconfig: Path
    context: str | None = None
    """Context within the kubeconfig; None for its current one."""
    namespace: str = NAMESPACE
    release: str = RELEASE

    def install(self, values: Mapping[str, Any], *, wait: bool = True, timeout: int = PATIENCE) -> None:
        """Installs the chart; makes the namespace. With `wait`, returns when the operator is ready.

        Raises helm_python.HelmError with Helm's own words, also when the release exists already.
        """
        with self._config() as config:
            config.install(
                CHART,
                self.release,
                dict(values),
                namespace=self.namespace,
                create_namespace=True,
                wait=_wait(wait),
                timeout=timeout,
            )

    def upgrade(self, values: Mapping[str, Any], *, wait: bool = True, timeout: int = PATIENCE) -> None:
        """Replaces the release's values by these; what isn't given falls back to the chart's default."""
        with self._config() as config:
            config.upgrade(
                CHART,
                self.release,
                dict(values),
                namespace=self.namespace,
                reset_values=True,
                wait=_wait(wait),
                timeout=timeout,
            )

    def apply(self, values: Mapping[str, Any], *, wait: bool = True, timeout: int = PATIENCE) -> None:
        """`upgrade` where it is installed, else `install`. What a killed install left is taken away."""
        states = self.states()
        if "deployed" in states and not states[-1].startswith("pending"):
            self.upgrade(values, wait=wait, timeout=timeout)
            return
        if states:
            self.uninstall()
        self.install(values, wait=wait, timeout=timeout)

    def uninstall(self, *, timeout: int = PATIENCE) -> None:
        """Takes the release away and waits until its objects are gone; nothing to do is no error.

        The CRDs stay, as the chart's `crds.keep` says.
        """
        with self._config() as config:
            config.uninstall(self.release, ignore_not_found=True, wait="watcher", timeout=timeout)

    def states(self) -> list[str]:
        """Helm's word for each revision (deployed, superseded, failed, pending-install …), oldest first."""
        with self._config() as config:
            try:
                return [str(revision["status"]) for revision in config.history(self.release)]
            except helm_python.HelmNotFoundError:
                return []

    def _config(self) -> helm_python.Config:
        return helm_python.Config(
            kubeconfig_path=self.kubeconfig, kube_context=self.context, namespace=self.namespace
        )


def _wait(wait: bool) -> str:
    return "watcher" if wait else "hookOnly"


def main() -> int:
    """Command line: install (or upgrade), or uninstall."""
    parser = argparse.ArgumentParser(prog="python -m e2e.helm", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["install", "uninstall"])
    parser.add_argument("--kubeconfig", type=Path, required=True, help="never taken from KUBECONFIG")
    parser.add_argument("--context", help="within the kubeconfig; default: its current one")
    parser.add_argument("--namespace", default=NAMESPACE)
    parser.add_argument("--values", type=Path, help="YAML file of chart values")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="one value")
    arguments = parser.parse_args()
    helm = Helm(arguments.kubeconfig, arguments.context, arguments.namespace)
    try:
        if arguments.action == "uninstall":
            helm.uninstall()
        else:
            values = yaml.safe_load(arguments.values.read_text()) if arguments.values else {}
            for expression in arguments.set:
                values = _merge(values or {}, helm_python.parse_set_string(expression))
            helm.apply(values or {})
    except helm_python.HelmError as error:
        print(f"helm {arguments.action}: {error}", file=sys.stderr)
        return 1
    return 0


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        merged[key] = _merge(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


if __name__ == "__main__":
    sys.exit(main())
