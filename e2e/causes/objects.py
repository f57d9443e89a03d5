"""Causes in other objects: what is referred to, what is in the way, the hub that weights come from."""

from __future__ import annotations

from e2e.causes import hub, signs
from e2e.causes.cause import SERVICE, Cause, Scene
from e2e.namespace import Manifest

OLDER = "older"


def _from_hub(scene: Scene, repository: str, secret: str = "") -> None:
    source = {"uri": f"hf://acme/{repository}"} | ({"secretRef": {"name": secret}} if secret else {})
    scene.start(model={"source": source}, engine={"args": {"load-format": "auto"}})


def _secret(scene: Scene, **values: str) -> None:
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": values}
    scene.namespace.apply(manifest)


def _router(scene: Scene, cpu: str) -> None:
    manifest: Manifest = {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "LLMRouter",
        "metadata": {"name": "front"},
        "spec": {"replicas": 1, "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}},
    }
    scene.namespace.apply(manifest)


def _behind_router(scene: Scene) -> None:
    _router(scene, "900")
    scene.start(routerRef={"name": "front"})


def _older(scene: Scene) -> None:
    manifest = scene.service()
    scene.namespace.apply({**manifest, "metadata": {"name": OLDER}})


def _model(scene: Scene) -> None:
    manifest = {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "LLMModel",
        "metadata": {"name": "absent"},
        "spec": {"source": {"uri": "file:///models/scripted"}},
    }
    scene.namespace.apply(manifest)


def _stranger(scene: Scene) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{SERVICE}-engine"},
        "spec": {"ports": [{"port": 80}]},
    }
    scene.namespace.apply(manifest)


CAUSES = (
    Cause(
        "hub unreachable",
        "WeightsDownloadFailed",
        before=hub.stop,
        settled=signs.nothing,
        act=lambda scene: _from_hub(scene, "quick"),
        sign=signs.ended("resolve"),
        says=hub.ENDPOINT,
        mend=hub.start,
        mended=signs.pod_made,
        clean=hub.start,
        hub=True,
        patience_s=400.0,
    ),
    Cause(
        "slow download",
        "",
        act=lambda scene: _from_hub(scene, "slow"),
        sign=signs.running(),
        shown=signs.loading(SERVICE),
        mend=lambda scene: None,
        mended=signs.pod_ready(),
        hub=True,
    ),
    Cause(
        "Secret missing",
        "SecretNotFound",
        act=lambda scene: _from_hub(scene, "private", "token"),
        sign=signs.event("FailedMount", '"token" not found'),
        says="token",
        mend=lambda scene: _secret(scene, token="good"),
        mended=signs.running("resolve"),
        hub=True,
        patience_s=300.0,
    ),
    Cause(
        "Secret with a wrong token",
        "SecretInvalid",
        before=lambda scene: _secret(scene, token="stale"),
        act=lambda scene: _from_hub(scene, "private", "token"),
        sign=signs.ended("resolve"),
        mend=lambda scene: _secret(scene, token="good"),
        mended=signs.pod_made,
        hub=True,
        patience_s=400.0,
    ),
    Cause(
        "router has no place",
        "RouterNotReady",
        act=_behind_router,
        sign=signs.unscheduled("Insufficient cpu", role="router"),
        mend=lambda scene: _router(scene, "10m"),
        mended=signs.pod_ready("router"),
    ),
    Cause(
        "name taken",
        "ModelNameConflict",
        before=_older,
        settled=signs.ready(OLDER),
        act=lambda scene: scene.start(modelNames=[OLDER]),
        sign=None,
        says=OLDER,
        mend=lambda scene: scene.namespace.delete(f"llmservice/{OLDER}", wait=False),
        mended=signs.gone("llmservices", OLDER),
    ),
    Cause(
        "model missing",
        "ReferenceNotFound",
        act=lambda scene: scene.start(model=None, modelRef={"name": "absent"}),
        sign=None,
        says="absent",
        mend=_model,
        mended=None,
    ),
    Cause(
        "object in the way",
        "ObjectNotOwned",
        before=_stranger,
        act=lambda scene: scene.start(),
        sign=None,
        says=f"{SERVICE}-engine",
        mend=lambda scene: scene.namespace.delete(f"service/{SERVICE}-engine"),
        mended=None,
    ),
)
