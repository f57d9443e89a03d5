"""values.schema.json refuses what isn't meant, says where, and knows every value that values.yaml has."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import helm_python
import pytest
import yaml

from tests.charts.rendering import CHART, ROOT, render

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a value that isn't there": ({"replicas": 2}, "additional properties 'replicas' not allowed"),
    "a misspelt value": ({"crds": {"install": True}}, "at '/crds': additional properties 'install'"),
    "text for a switch": ({"crds": {"enabled": "yes"}}, "at '/crds/enabled': got string, want boolean"),
    "one namespace for a list": ({"watchNamespaces": "a"}, "at '/watchNamespaces': got string, want array"),
    "a namespace in capitals": ({"watchNamespaces": ["A"]}, "at '/watchNamespaces/0': 'A' does not match"),
    "a namespace twice": (
        {"watchNamespaces": ["a", "a"]},
        "at '/watchNamespaces': items at 0 and 1 are equal",
    ),
    "an unknown log level": (
        {"logLevel": "trace"},
        "at '/logLevel': value must be one of 'debug', 'info', 'warning', 'error'",
    ),
    "an image tag with a space": ({"images": {"tag": "a b"}}, "at '/images/tag': 'a b' does not match"),
    "an image tag that moves": ({"images": {"tag": "latest"}}, "the tag `latest` is refused"),
    "an engine image that moves": (
        {"images": {"engines": {"cpu": "e.example.com/engine:latest"}}},
        "the tag `latest` is refused",
    ),
    "an engine version that moves": ({"engine": {"version": "latest"}}, "the tag `latest` is refused"),
    "half a digest": ({"images": {"operator": "a@sha256:12"}}, "at '/images/operator': 'a@sha256:12'"),
    "an engine image with no tag": (
        {"images": {"engines": {"cpu": "e.example.com/engine"}}},
        "at '/images/engines/cpu'",
    ),
    "an accelerator that is no resource name": (
        {"images": {"engines": {"gpu": "e.example.com/engine:1"}}},
        "invalid propertyName 'gpu'",
    ),
    "an unknown pull policy": (
        {"images": {"pullPolicy": "Sometimes"}},
        "at '/images/pullPolicy': value must be one of 'IfNotPresent', 'Always', 'Never'",
    ),
    "no time to start": ({"engine": {"startupSeconds": 1}}, "minimum: got 1, want 60"),
    "a mirror without a scheme": ({"huggingFace": {"endpoint": "hub"}}, "at '/huggingFace/endpoint': 'hub'"),
    "memory in no unit": ({"resources": {"limits": {"memory": "lots"}}}, "at '/resources/limits/memory'"),
    "a GPU for the operator": (
        {"resources": {"limits": {"nvidia.com/gpu": 1}}},
        "at '/resources/limits': additional properties 'nvidia.com/gpu'",
    ),
    "a misspelt toleration": (
        {"tolerations": [{"ky": "a"}]},
        "at '/tolerations/0': additional properties 'ky'",
    ),
    "a peer by labels and by address": (
        {"networkPolicy": {"metricsPeers": [{"cidr": "10.0.0.0/8", "podLabels": {"a": "b"}}]}},
        "at '/networkPolicy/metricsPeers/0': 'oneOf' failed",
    ),
    "a peer that is everybody": (
        {"networkPolicy": {"metricsPeers": [{}]}},
        "at '/networkPolicy/metricsPeers/0': 'oneOf' failed",
    ),
    "no port of the API server": ({"networkPolicy": {"apiServerPorts": []}}, "minItems: got 0, want 1"),
    "an interval in no unit": ({"podMonitor": {"interval": "30"}}, "at '/podMonitor/interval'"),
}


@pytest.mark.parametrize(("values", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_helm_refuses(values: dict[str, Any], message: str) -> None:
    with pytest.raises(helm_python.HelmError) as refused:
        render(values)
    assert message in str(refused.value)


def schema() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return parsed


def objects(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of an object, with its path."""
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path or "/", node
        for key, child in node.items():
            yield from objects(child, f"{path}/{key}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from objects(child, f"{path}/{index}")


def test_every_object_is_closed() -> None:
    # `global` is Helm's own: it appears when the chart is a dependency of another.
    for path, node in objects(schema()):
        if path != "/properties/global":
            assert "additionalProperties" in node, f"{path} lets anything through"
            assert node["additionalProperties"] is not True
            assert not ("properties" in node and node["additionalProperties"]), f"{path} is half open"


def test_values_and_schema_know_the_same() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(node: dict[str, Any], value: dict[str, Any], path: str) -> None:
        for name, child in node["properties"].items():
            if name == "global" or path in {"/resources/requests", "/resources/limits"}:
                continue
            assert name in value, f"values.yaml has no {path}/{name}"
            assert child.get("description"), f"{path}/{name} has no description"
            if child.get("properties"):
                compare(child, value[name], f"{path}/{name}")

    compare(schema(), values, "")


def test_the_table_in_the_readme_is_fresh() -> None:

    done = subprocess.run(
        [sys.executable, "charts/readme.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
