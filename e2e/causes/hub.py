"""The hub that scenes download from: a pod of the scripted engine's image, in a namespace of its own."""

from __future__ import annotations

import json

from e2e.causes.cause import Scene
from e2e.cluster import Kubectl
from e2e.namespace import LABEL, Manifest, Namespace
from e2e.waiting import wait_for

NAMESPACE = "pointsman-e2e-hub"
ENDPOINT = f"http://hub.{NAMESPACE}.svc"
CDN = f"http://cdn.{NAMESPACE}.svc"
WITHIN_S = 120.0


def provide(kubectl: Kubectl, image: str) -> None:
    """Makes the hub, and returns when it answers."""
    namespace = Namespace(kubectl, NAMESPACE)
    namespace.create({LABEL: "hub"})
    namespace.apply(_deployment(image), _service("hub", 8080), _service("cdn", 8081))
    _wait(namespace)


def start(scene: Scene) -> None:
    """Brings the hub back."""
    _scale(scene, 1)
    _wait(Namespace(scene.namespace.kubectl, NAMESPACE))


def stop(scene: Scene) -> None:
    """Takes the hub away."""
    _scale(scene, 0)
    namespace = Namespace(scene.namespace.kubectl, NAMESPACE)
    wait_for("the hub to be gone", lambda: not namespace.items("pods"), WITHIN_S)


def _scale(scene: Scene, replicas: int) -> None:
    kubectl = scene.namespace.kubectl
    kubectl.run("scale", "deployment/hub", f"--namespace={NAMESPACE}", f"--replicas={replicas}")


def _wait(namespace: Namespace) -> None:
    wait_for(
        "the hub to answer",
        lambda: (namespace.the("deployment/hub").get("status") or {}).get("readyReplicas"),
        WITHIN_S,
        seen=lambda: json.dumps(namespace.the("deployment/hub").get("status")),
    )


def _service(name: str, port: int) -> Manifest:
    spec = {"selector": {"app": "hub"}, "ports": [{"port": 80, "targetPort": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _deployment(image: str) -> Manifest:
    container = {
        "name": "hub",
        "image": image,
        "command": ["python3", "-m", "e2e.scripted.hub", CDN],
        "workingDir": "/opt/hub",
        "readinessProbe": {"tcpSocket": {"port": 8081}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    labels = {"app": "hub"}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "hub"}, "spec": spec}
