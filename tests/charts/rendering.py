"""The chart under the value sets that the golden files hold, rendered by Helm's own code.

`python -m tests.charts.rendering` writes the golden files anew; read the diff before you commit it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "pointsman"
GOLDEN = Path(__file__).resolve().parent / "golden"
DIGEST = "sha256:" + "5" * 64

VALUE_SETS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "two-namespaces": {"watchNamespaces": ["team-a", "team-b"], "crds": {"keep": False}},
    "air-gapped": {
        "images": {
            "registry": "registry.example.com/ml/pointsman",
            "operator": f"registry.example.com/ml/pointsman/operator@{DIGEST}",
            "router": f"registry.example.com/ml/pointsman/router@{DIGEST}",
            "engines": {
                "amd.com/gpu": "registry.example.com/ml/engine-rocm:{version}",
                "nvidia.com/gpu": "registry.example.com/ml/engine-cuda:v0.32.0",
            },
            "pullPolicy": "Always",
            "pullSecrets": ["registry"],
        },
        "engine": {"version": "0.32.0", "startupSeconds": 7200},
        "huggingFace": {"endpoint": "https://hub.example.com"},
        "proxy": {"https": "http://proxy.example.com:3128", "none": ".example.com,10.0.0.0/8"},
        "caConfigMap": "private-ca",
    },
    "everything": {
        "crds": {"enabled": False},
        "capacityDiscovery": True,
        "logLevel": "debug",
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "2Gi"}},
        "serviceAccount": {"name": "operator", "annotations": {"example.com/identity": "pointsman"}},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "system", "effect": "NoSchedule"}],
        "priorityClassName": "system-cluster-critical",
        "podLabels": {"example.com/team": "platform"},
        "podAnnotations": {"example.com/scrape": "true"},
        "podDisruptionBudget": {"enabled": True},
        "networkPolicy": {
            "apiServerPorts": [6443],
            "apiServerCidrs": ["10.0.0.1/32"],
            "metricsPeers": [
                {
                    "namespaceLabels": {"kubernetes.io/metadata.name": "monitoring"},
                    "podLabels": {"app": "prometheus"},
                },
                {"podLabels": {"app": "scraper"}},
                {"cidr": "10.1.0.0/16"},
            ],
        },
        "podMonitor": {"enabled": True, "interval": "1m", "labels": {"release": "prometheus"}},
    },
}
"""One set for each way people install it: as it comes, within namespaces, cut off, and every knob turned."""


def render(values: Mapping[str, Any], *, release: str = "pointsman") -> dict[str, str]:
    """Text by template. Raises helm_python.HelmError with Helm's own words."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(dict(values), name=release, namespace="pointsman-system")
    return {path.rpartition("/")[2]: text for path, text in rendered.items()}


@cache
def manifests(name: str) -> tuple[dict[str, Any], ...]:
    """All objects of a value set, in the order of the templates' names."""
    texts = render(VALUE_SETS[name])
    documents = (yaml.safe_load_all(text) for path, text in sorted(texts.items()) if path != "NOTES.txt")
    return tuple(document for stream in documents for document in stream if document)


SHOWN_ELSEWHERE = {
    "CustomResourceDefinition": ("spec", "see crds/"),
    "ClusterRole": ("rules", "see docs/reference/rbac.md"),
    "Role": ("rules", "see docs/reference/rbac.md"),
}
"""Generated parts, by kind: they have tests of their own, and would drown what is written by hand."""


def golden(name: str) -> str:
    """What a golden file should hold."""
    shown = []
    for manifest in manifests(name):
        field, text = SHOWN_ELSEWHERE.get(manifest["kind"], ("", ""))
        shown.append({**manifest, field: text} if field else manifest)
    document: str = yaml.safe_dump_all(shown, sort_keys=False, width=110, allow_unicode=True)
    return document


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for value_set in VALUE_SETS:
        (GOLDEN / f"{value_set}.yaml").write_text(golden(value_set))
