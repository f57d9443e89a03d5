"""The pod template of an engine revision, rendered once, when the revision is born.

What a field turns into is decided here and nowhere else; what isn't declared is resolved here from the
operator's settings. The result is frozen (see `revision`), so this module may change with every release
without touching a running pod.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pointsman.api import names, quantity
from pointsman.api.hardware import Hardware
from pointsman.api.model import ModelSpec
from pointsman.api.proof import Proof
from pointsman.api.service import ServiceSpec
from pointsman.core import sources
from pointsman.core.settings import CPU, Settings

UID = 2000
"""User and group of every pod we make; the images carry it, and so does upstream's GPU image."""

DRAIN_SECONDS = 300
"""What `drainSeconds` means when it isn't set."""

GRACE_MARGIN_SECONDS = 30
"""Between the end of draining and SIGKILL: for the engine to put itself away."""

CPU_DTYPE = "float16"
"""Number format on CPUs where none is declared: bfloat16 gave fluent nonsense on CPUs that announce AMX."""

_SLACK_BYTES = 1024**3
"""Room beside the weights in their volume, for the hub client's own bookkeeping and partial files."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a template is made of."""

    service: str
    revision: str
    spec: ServiceSpec
    model: ModelSpec
    settings: Settings
    commit: str = ""
    """What a remote source resolved to."""
    weight_bytes: int = 0
    """Size of what will be fetched; 0 when nothing is."""
    startup_seconds: int = 0
    """How long an engine may take to start; 0: as long as the operator allows to all."""


def image(spec: ServiceSpec, settings: Settings) -> str:
    """The engine's image, or empty when none is known for the accelerator and version asked for."""
    if spec.engine and spec.engine.image:
        return spec.engine.image
    template = settings.engine_images.get(accelerator(spec) or CPU, "")
    declared = spec.engine.version if spec.engine else None
    if declared and "{version}" not in template:
        # Running another version than the one asked for would be worse than saying so.
        return ""
    return template.replace("{version}", declared or settings.engine_version)


def accelerator(spec: ServiceSpec) -> str:
    """Resource name of the accelerator asked for; empty for none."""
    hardware = spec.hardware
    return hardware.accelerator.resource if hardware and hardware.accelerator else ""


def drain_seconds(spec: ServiceSpec) -> int:
    """How long a pod may go on answering what it has begun, in seconds."""
    return DRAIN_SECONDS if spec.drain_seconds is None else spec.drain_seconds


def render(inputs: Inputs) -> dict[str, Any]:
    """The pod template."""
    overlay = inputs.spec.pod
    labels = engine_labels(inputs.service, inputs.revision)
    metadata: dict[str, Any] = {"labels": {**((overlay and overlay.labels) or {}), **labels}}
    if overlay and overlay.annotations:
        metadata["annotations"] = dict(overlay.annotations)
    return {"metadata": metadata, "spec": _pod_spec(inputs)}


def engine_labels(service: str, revision: str) -> dict[str, str]:
    """Labels of the engine pods of one revision; its Deployment selects by exactly these."""
    return {
        names.LABEL_SERVICE: service,
        names.LABEL_REVISION: revision,
        names.LABEL_ROLE: names.ROLE_ENGINE,
    }


def arguments(inputs: Inputs) -> tuple[str, ...]:
    """The engine's arguments, in a fixed order: ours, the typed fields', the user's own."""
    spec, engine, defaults = inputs.spec, inputs.spec.engine, inputs.model.defaults
    chosen: dict[str, object] = {
        "model": sources.model_dir(inputs.model.source.uri),
        "served-model-name": inputs.service,
        "host": "0.0.0.0",
        "port": names.PORT_ENGINE,
        **_parallelism(spec),
    }
    if not accelerator(spec):
        chosen |= {"dtype": CPU_DTYPE, "kv-cache-memory-bytes": _cpu_cache_bytes(spec)}
    if engine:
        chosen |= {
            "max-model-len": engine.max_model_len,
            "dtype": engine.dtype or chosen.get("dtype"),
            "quantization": engine.quantization,
            "gpu-memory-utilization": engine.gpu_memory_utilization and engine.gpu_memory_utilization / 100,
        }
    if defaults:
        chosen |= {
            "tool-call-parser": defaults.tool_call_parser,
            "enable-auto-tool-choice": bool(defaults.tool_call_parser) or None,
            "reasoning-parser": defaults.reasoning_parser,
            "trust-remote-code": defaults.trust_remote_code or None,
        }
    if engine and engine.args:
        chosen |= dict(sorted(engine.args.items()))
    return tuple(_argument(name, value) for name, value in chosen.items() if value is not None)


def _cpu_cache_bytes(spec: ServiceSpec) -> int:
    """Size of the KV cache on a CPU: a quarter of the memory limit, a GiB where none is set."""
    resources = spec.hardware.resources if spec.hardware else None
    limit = ((resources and resources.limits) or {}).get("memory")
    return int(quantity.amount(limit)) // 4 if limit else 1024**3


def _argument(name: str, value: object) -> str:
    if value is True or value in ("true", ""):  # not `in (True, …)`: 1 == True
        return f"--{name}"
    if value is False or value == "false":
        return f"--no-{name}"
    return f"--{name}={value}"


def _parallelism(spec: ServiceSpec) -> dict[str, object]:
    declared = spec.parallelism
    if declared is None:
        hardware = spec.hardware
        count = hardware.accelerator.count if hardware and hardware.accelerator else 1
        return {"tensor-parallel-size": count if count > 1 else None}
    return {
        "tensor-parallel-size": declared.tensor,
        "pipeline-parallel-size": declared.pipeline,
        "data-parallel-size": declared.data,
        "enable-expert-parallel": declared.expert or None,
    }


def _pod_spec(inputs: Inputs) -> dict[str, Any]:
    hardware, overlay = inputs.spec.hardware, inputs.spec.pod
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": drain_seconds(inputs.spec) + GRACE_MARGIN_SECONDS,
        "securityContext": pod_security(),
        "containers": [_container(inputs)],
        "volumes": _volumes(inputs),
    }
    declared = [secret.name for secret in (overlay and overlay.image_pull_secrets) or ()]
    spec |= pull_secrets([*declared, *inputs.settings.image_pull_secrets])
    spec |= on_nodes(hardware)
    if hardware:
        chosen = {
            "runtimeClassName": hardware.runtime_class_name,
            "priorityClassName": hardware.priority_class_name,
        }
        spec |= {name: value for name, value in chosen.items() if value}
    return spec


def on_nodes(hardware: Hardware | None) -> dict[str, Any]:
    """The part of a pod's spec that says which nodes will do."""
    if hardware is None:
        return {}
    chosen = {
        "nodeSelector": dict(hardware.node_selector or {}),
        "tolerations": [
            t.model_dump(by_alias=True, exclude_none=True, mode="json") for t in hardware.tolerations or ()
        ],
    }
    return {name: value for name, value in chosen.items() if value}


def claim_volumes(claim: str) -> list[dict[str, Any]]:
    """The volume of a claim that holds weights; none where there's no claim."""
    source = {"claimName": claim, "readOnly": True}
    return [{"name": "weights", "persistentVolumeClaim": source}] if claim else []


def claim_mounts(claim: str) -> list[dict[str, Any]]:
    """Where that is mounted."""
    return [{"name": "weights", "mountPath": sources.WEIGHTS, "readOnly": True}] if claim else []


def pull_secrets(secrets: Iterable[str]) -> dict[str, Any]:
    """The part of a pod's spec that names the Secrets for its images; nothing where there are none."""
    named = [{"name": name} for name in dict.fromkeys(secrets)]
    return {"imagePullSecrets": named} if named else {}


def pod_security() -> dict[str, Any]:
    """Pod-level half of the restricted Pod Security Standard, which every pod of ours keeps."""
    return {
        "runAsNonRoot": True,
        "runAsUser": UID,
        "runAsGroup": UID,
        "fsGroup": UID,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """Container-level half of it."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _container(inputs: Inputs) -> dict[str, Any]:
    return {
        "name": names.ENGINE_CONTAINER,
        "image": image(inputs.spec, inputs.settings),
        "imagePullPolicy": inputs.settings.image_pull_policy,
        "args": ["serve", "--", *arguments(inputs)],
        "env": _environment(inputs),
        "ports": [
            {"name": "http", "containerPort": names.PORT_ENGINE, "protocol": "TCP"},
            {"name": "status", "containerPort": names.PORT_ENGINE_STATUS, "protocol": "TCP"},
        ],
        "resources": _resources(inputs),
        "startupProbe": _probe("/startedz", 5, -(-_startup_seconds(inputs) // 5)),
        "readinessProbe": _probe("/readyz", 2, 1),
        "livenessProbe": _probe("/livez", 10, 6),
        "lifecycle": {"preStop": {"exec": {"command": ["pointsman-engine", "drain"]}}},
        "terminationMessagePolicy": "File",
        "securityContext": container_security(),
        "volumeMounts": _mounts(inputs),
    }


def _startup_seconds(inputs: Inputs) -> int:
    return inputs.startup_seconds or inputs.settings.startup_seconds


def _probe(path: str, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "status", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _environment(inputs: Inputs) -> list[dict[str, str]]:
    source = inputs.model.source
    values = {
        "POINTSMAN_SOURCE": source.uri,
        "POINTSMAN_MODEL_DIR": sources.model_dir(source.uri),
        "POINTSMAN_DRAIN_SECONDS": str(drain_seconds(inputs.spec)),
        "POINTSMAN_DEVICE": device(inputs.spec),
        "HOME": "/tmp",
    }
    if inputs.model.proof:
        values["POINTSMAN_PROOF"] = _proof(inputs.model.proof)
    if sources.is_remote(source.uri):
        values |= {"POINTSMAN_REVISION_SHA": inputs.commit} | sources.fetch_environment(
            source, inputs.settings
        )
    if inputs.spec.engine:
        values |= inputs.spec.engine.env or {}
    return [{"name": name, "value": value} for name, value in sorted(values.items())]


def _proof(questions: Sequence[Proof]) -> str:
    """What the entrypoint asks, as JSON. Kubernetes fills in what looks like $(NAME), so no $ is left."""
    wire = [question.to_wire() for question in questions]
    return json.dumps(wire, sort_keys=True, separators=(",", ":")).replace("$", "\\u0024")


def device(spec: ServiceSpec) -> str:
    """What an engine computes on, as its entrypoint is told."""
    resource = accelerator(spec)
    if not resource:
        return "cpu"
    return "cuda" if resource.startswith("nvidia.com/") else "accelerator"


def device_of(template: Mapping[str, Any]) -> str:
    """The same of a template that was rendered once."""
    variables = template["spec"]["containers"][0].get("env") or () if template else ()
    return next((v.get("value", "") for v in variables if v["name"] == "POINTSMAN_DEVICE"), "")


def _resources(inputs: Inputs) -> dict[str, Any]:
    hardware = inputs.spec.hardware
    declared = hardware.resources if hardware and hardware.resources else None
    requests = dict((declared and declared.requests) or {})
    limits = dict((declared and declared.limits) or {})
    if sources.is_remote(inputs.model.source.uri):
        requests.setdefault("ephemeral-storage", weights_size(inputs))
    if hardware and hardware.accelerator:
        limits[hardware.accelerator.resource] = str(hardware.accelerator.count)
    return {name: value for name, value in (("requests", requests), ("limits", limits)) if value}


def weights_size(inputs: Inputs) -> str:
    """Size of the weights volume: as declared, else what the source says and a little room."""
    storage = inputs.model.storage
    if storage and storage.size is not None:
        return str(storage.size)
    return str(-(-(inputs.weight_bytes + _SLACK_BYTES) // 1024**2)) + "Mi"


def _shared_memory(spec: ServiceSpec) -> str:
    """Size of /dev/shm, through which the processes of one engine talk: more where tensors cross it."""
    hardware = spec.hardware
    count = hardware.accelerator.count if hardware and hardware.accelerator else 1
    limits = hardware.resources.limits if hardware and hardware.resources else None
    wanted = 2 * 1024**3 if count == 1 else 8 * 1024**3
    memory = (limits or {}).get("memory")
    # It counts against the pod's memory, so it must leave room within a small limit.
    allowed = int(quantity.amount(memory)) // 4 if memory is not None else wanted
    return f"{max(min(wanted, allowed) // 1024**2, 64)}Mi"


def _volumes(inputs: Inputs) -> list[dict[str, Any]]:
    source = inputs.model.source
    volumes: list[dict[str, Any]] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _shared_memory(inputs.spec)}},
    ]
    volumes += claim_volumes(sources.claim(source.uri))
    if sources.is_remote(source.uri):
        volumes.append({"name": "weights", "emptyDir": {"sizeLimit": weights_size(inputs)}})
        volumes += sources.fetch_volumes(source, inputs.settings)
    return volumes


def _mounts(inputs: Inputs) -> list[dict[str, Any]]:
    source = inputs.model.source
    mounts: list[dict[str, Any]] = [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]
    mounts += claim_mounts(sources.claim(source.uri))
    if sources.is_remote(source.uri):
        mounts.append({"name": "weights", "mountPath": sources.WEIGHTS})
        mounts += sources.fetch_mounts(source, inputs.settings)
    return mounts
