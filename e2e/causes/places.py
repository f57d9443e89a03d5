"""Causes that keep a pod from having a place: nodes, quota, policies, volumes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from e2e.causes import signs
from e2e.causes.cause import Cause, Scene
from e2e.namespace import Manifest

GPU = "nvidia.com/gpu"
OTHER_GPU = "example.com/gpu"
TAINT = "pointsman-e2e/reserved"
POOL = "pointsman-e2e/pool"
PRIVILEGED = (("pod-security.kubernetes.io/enforce", "privileged"),)
VOLUMES = "/run/pointsman-e2e"
"""Where volumes lie on the node; it goes with it."""
CLASS = "pointsman-e2e-none"
"""A storage class that nobody provides."""


def _taint(effect: str, scene: Scene) -> None:
    scene.namespace.kubectl.run("taint", "node", scene.node(), f"{TAINT}{effect}")


def _tainted(scene: Scene) -> None:
    _taint("=team-a:NoSchedule", scene)
    scene.start()


def _offer(count: int, scene: Scene) -> None:
    scene.release.cluster.advertise(count, GPU)


def _two_of_one(scene: Scene) -> None:
    _offer(1, scene)
    scene.start(hardware={"accelerator": {"resource": GPU, "count": 2}})


def _label(value: Callable[[Scene], str], scene: Scene) -> None:
    scene.namespace.kubectl.run("label", "--overwrite", "node", scene.node(), f"{POOL}{value(scene)}")


def _object(kind: str, name: str, spec: Any, api: str = "v1") -> Manifest:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _quota(scene: Scene) -> None:
    """The namespace may have none of the accelerators that there are."""
    scene.release.cluster.advertise(1, OTHER_GPU)
    scene.namespace.apply(_object("ResourceQuota", "none", {"hard": {f"requests.{OTHER_GPU}": "0"}}))
    scene.start(hardware={"accelerator": {"resource": OTHER_GPU, "count": 1}})


def _deny(scene: Scene) -> None:
    """No engine may be made here, says a policy."""
    name, api = scene.namespace.name, "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
        "validations": [
            {
                "expression": "object.metadata.?labels['pointsman.dev/role'].orValue('') != 'engine'",
                "message": "engines need the security team's leave",
            }
        ],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    scene.namespace.apply(
        _object("ValidatingAdmissionPolicy", name, policy, api),
        _object("ValidatingAdmissionPolicyBinding", name, binding, api),
    )


def _allow(scene: Scene) -> None:
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        scene.namespace.kubectl.run("delete", kind, scene.namespace.name, "--ignore-not-found")


def _volume(scene: Scene, kind: str, class_: str) -> Manifest:
    name = scene.namespace.name
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": class_,
        "claimRef": {"namespace": name, "name": "weights"},
        "hostPath": {"path": f"{VOLUMES}/{name}", "type": kind},
    }
    return _object("PersistentVolume", name, spec)


def _claim(scene: Scene, class_: str) -> Manifest:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": class_,
    }
    if not class_:
        spec["volumeName"] = scene.namespace.name
    return _object("PersistentVolumeClaim", "weights", spec)


def _filled(scene: Scene) -> None:
    """Puts a model where the volume will lie, by a pod, which only a namespace without rules allows."""
    path = {"path": f"{VOLUMES}/{scene.namespace.name}", "type": "DirectoryOrCreate"}
    container = {
        "name": "fill",
        "image": scene.image,
        "command": ["sh", "-c", "cp -r /models/scripted/. /volume/"],
        "volumeMounts": [{"name": "volume", "mountPath": "/volume"}],
        "securityContext": {"runAsUser": 0},
    }
    spec = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "volume", "hostPath": path}],
    }
    scene.namespace.apply(_object("Pod", "fill", spec))


def _is_filled(view: Any) -> bool:
    return bool((view.get("pods", "fill").get("status") or {}).get("phase") == "Succeeded")


def _from_claim(scene: Scene) -> None:
    scene.start(model={"source": {"uri": "pvc://weights"}})


def _with_claim(scene: Scene) -> None:
    scene.namespace.apply(_volume(scene, "DirectoryOrCreate", ""), _claim(scene, ""))


def _unbound(scene: Scene) -> None:
    scene.namespace.apply(_claim(scene, CLASS))
    _from_claim(scene)


def _unmountable(scene: Scene) -> None:
    scene.namespace.apply(_volume(scene, "Directory", ""), _claim(scene, ""))
    _from_claim(scene)


def _forget_volume(scene: Scene) -> None:
    scene.namespace.kubectl.run("delete", "pv", scene.namespace.name, "--ignore-not-found", "--wait=false")


CAUSES = (
    Cause(
        "node tainted",
        "UntoleratedTaint",
        act=_tainted,
        sign=signs.unscheduled("untolerated taint"),
        says="untolerated taint",
        mend=partial(_taint, "-"),
        mended=signs.scheduled,
        clean=lambda scene: scene.namespace.kubectl.try_run("taint", "node", scene.node(), f"{TAINT}-"),
        alone=True,
    ),
    Cause(
        "no free accelerator",
        "InsufficientGPU",
        act=_two_of_one,
        sign=signs.unscheduled(f"Insufficient {GPU}"),
        says="1 free in all",
        mend=partial(_offer, 2),
        mended=signs.scheduled,
        clean=partial(_offer, 0),
    ),
    Cause(
        "no node with the labels",
        "NoMatchingNode",
        act=lambda scene: scene.start(hardware={"nodeSelector": {POOL: scene.namespace.name}}),
        sign=signs.unscheduled("node affinity/selector"),
        mend=partial(_label, lambda scene: f"={scene.namespace.name}"),
        mended=signs.scheduled,
        clean=partial(_label, lambda _: "-"),
    ),
    Cause(
        "quota used up",
        "QuotaExceeded",
        act=_quota,
        sign=signs.replica_failure("exceeded quota"),
        says=OTHER_GPU,
        mend=lambda scene: scene.namespace.delete("resourcequota/none"),
        mended=signs.pod_made,
        clean=lambda scene: scene.release.cluster.advertise(0, OTHER_GPU),
        patience_s=400.0,
    ),
    Cause(
        "refused by an admission policy",
        "AdmissionRefused",
        before=_deny,
        act=lambda scene: scene.start(),
        sign=signs.replica_failure("security team"),
        says="engines need the security team's leave",
        mend=_allow,
        mended=signs.pod_made,
        clean=_allow,
        patience_s=400.0,
    ),
    Cause(
        "claim missing",
        "ReferenceNotFound",
        before=_filled,
        settled=_is_filled,
        act=_from_claim,
        sign=signs.unscheduled('persistentvolumeclaim "weights" not found'),
        says="weights",
        mend=_with_claim,
        mended=signs.scheduled,
        clean=_forget_volume,
        labels=PRIVILEGED,
        patience_s=400.0,
    ),
    Cause(
        "claim unbound",
        "VolumeUnavailable",
        before=_filled,
        settled=_is_filled,
        act=_unbound,
        sign=signs.unscheduled("unbound immediate PersistentVolumeClaims"),
        mend=lambda scene: scene.namespace.apply(_volume(scene, "DirectoryOrCreate", CLASS)),
        mended=signs.scheduled,
        clean=_forget_volume,
        labels=PRIVILEGED,
        patience_s=400.0,
    ),
    Cause(
        "volume can't be mounted",
        "VolumeUnavailable",
        act=_unmountable,
        sign=signs.event("FailedMount", "hostPath type check failed"),
        says="hostPath type check failed",
        mend=_filled,
        mended=signs.running(),
        clean=_forget_volume,
        labels=PRIVILEGED,
        patience_s=400.0,
    ),
)
