"""Everything that Pointsman ever asks a cluster for, as manifests: the chart's, and the operator's children.

The children are those of what people are shown (examples/), of specs that say all there is to say, of a model
behind a private hub with proxies and a private CA, and of a candidate that is tried and checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from pointsman.api import names
from tests.charts.rendering import VALUE_SETS, manifests
from tests.contract.manifests import FULL
from tests.pss import pod_specs
from tests.readings.stage import Stage
from tests.simulation.stories import CHAT, serving
from tests.simulation.worlds import PROXIED, REMOTE

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"

CHECKS: Final = (
    {"name": "webhook", "webhook": {"url": "https://ci.test/gate", "tokenSecretRef": {"name": "gate"}}},
    {"name": "job", "job": {"image": "registry.test/eval:1", "tokenSecretRef": {"name": "gate"}}},
    {"name": "account", "job": {"image": "registry.test/eval:1", "serviceAccountName": "evaluation"}},
)
ASKED: Final[Mapping[str, Any]] = {
    **CHAT,
    "engine": {"maxModelLen": 4096},
    "rollout": {
        "strategy": "Canary",
        "steps": [{"weight": 50, "minSeconds": 0}],
        "gates": [],
        "suiteRef": {"name": "support"},
        "equivalence": {"prompts": ["2 + 2 ="]},
        "checks": CHECKS,
    },
}
"""What a service becomes whose candidate everybody is asked about."""
SUITE: Final = {"cases": [{"name": "greets", "assertions": [{"contains": "Hello"}]}]}
PASSED: Final = {"passed": True, "suite": {"cases": 1, "failed": 0, "failing": []}}

Manifest = Mapping[str, Any]
Declared = Sequence[tuple[str, str, Mapping[str, Any]]]
"""Kind, name and spec of each object."""


def declared() -> dict[str, Declared]:
    """What people declare, by what it is called."""
    called = {"LLMRouter": "default", "PromptVersion": "support-v7"}
    full = [
        (resource.kind, called.get(resource.kind, "full"), spec)
        for resource, spec in FULL.items()
        if resource.kind not in ("LLMModel", "PromptSuite")
    ]
    remote = [("LLMService", "remote", {"model": REMOTE})]
    return {"full": full, "remote": remote, **{path.name: _example(path) for path in _folders()}}


def _folders() -> list[Path]:
    return sorted(path for path in EXAMPLES.iterdir() if path.is_dir())


def _example(folder: Path) -> Declared:
    documents = [
        document
        for path in sorted(folder.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if document
    ]
    return [
        (one["kind"], one["metadata"]["name"], one["spec"])
        for one in documents
        if one.get("apiVersion") == names.API_VERSION
    ]


async def children(of: Declared) -> list[Manifest]:
    """What the operator makes of what is declared, resolve Jobs included, as it applies it."""
    stage = Stage(PROXIED)
    for kind, name, spec in of:
        await stage.apply(kind, name, spec)
    await stage.rounds(8)
    return [manifest for (kind, _), manifest in sorted(stage.applied.items()) if kind != "LLMRouter"]


async def asking() -> list[Manifest]:
    """The same for a service whose candidate passes its trial, and whose checks are asked then."""
    stage = Stage(PROXIED)
    await stage.apply("PromptSuite", "support", SUITE)
    await serving(stage, CHAT)
    stage.trial, stage.check = PASSED, None
    await stage.apply("LLMService", "chat", ASKED)
    await stage.rounds(60)
    return [manifest for (kind, _), manifest in sorted(stage.applied.items()) if kind != "LLMRouter"]


async def everything() -> dict[str, list[Manifest]]:
    """Manifests by where they come from."""
    charts: dict[str, list[Manifest]] = {f"chart, {name}": [*manifests(name)] for name in VALUE_SETS}
    of_operator = {name: await children(of) for name, of in declared().items() if of}
    return charts | of_operator | {"asking": await asking()}


def pods(rendered: Mapping[str, Sequence[Manifest]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every pod's spec among the manifests, with a name that says whose it is."""
    for source, found in rendered.items():
        for manifest in found:
            for spec in pod_specs(manifest):
                yield f"{source}: {manifest['kind']} {manifest['metadata']['name']}", spec
