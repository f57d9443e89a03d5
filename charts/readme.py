"""Writes charts/pointsman/README.md from values.yaml (defaults) and values.schema.json (meanings).

So that no value is undocumented and no text is older than the chart: `make crds` writes it, `make check`
compares.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent / "pointsman"

HEAD = """# The pointsman chart

Installs the operator: its CustomResourceDefinitions, its Deployment, what it may do (RBAC) and whom it may
talk to (NetworkPolicy). It needs Kubernetes 1.34 or newer, and the images in a registry that the cluster
can pull from (`make images REGISTRY=…`).

```sh
helm install pointsman charts/pointsman --namespace pointsman-system --create-namespace \\
  --set images.registry=registry.example.com/pointsman
```

The operator's pod keeps the restricted Pod Security Standard. It reads no Secrets: models' and registries'
credentials are mounted by the pods that need them. Nothing in the chart asks the cluster at render time, so
`helm template`, Argo CD and Flux render what `helm install` does.

The CustomResourceDefinitions are templates, so `helm upgrade` upgrades them. With `crds.keep`, they and every
LLMService survive `helm uninstall`; docs/install.md has the order for taking everything away.

## Values

This table is made from values.yaml and values.schema.json.

| value | default | meaning |
|---|---|---|
"""


def leaves(schema: dict[str, Any], values: Any, path: str = "") -> Iterator[tuple[str, Any, str]]:
    """(dotted name, default, description) of everything that can be set."""
    for name, child in schema["properties"].items():
        if not path and name == "global":
            continue
        dotted, value = f"{path}{name}", values.get(name, {})
        if all("description" in inner for inner in child.get("properties", {"": {}}).values()):
            yield from leaves(child, value, f"{dotted}.")
        else:
            yield dotted, values.get(name), child.get("description", "")


def document() -> str:
    """The whole text."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    rows = [
        f"| `{name}` | {f'`{json.dumps(value)}`' if value is not None else ''} | {text} |"
        for name, value, text in leaves(schema, values)
    ]
    return HEAD + "\n".join(rows) + "\n"


def main() -> int:
    """Command line: `readme.py [--check]`."""
    path, text = CHART / "README.md", document()
    if "--check" not in sys.argv[1:]:
        path.write_text(text)
        return 0
    if path.exists() and path.read_text() == text:
        return 0
    print("charts/pointsman/README.md is not what its values say; run `make crds`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
