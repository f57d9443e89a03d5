"""What `engine.args`, `engine.env` and the pod overlay may not name, and why.

They are privilege: an argument can open a port, import a module or read a mounted token. vLLM's parser takes
abbreviations, so an argument is refused when it is a prefix of a reserved name or begins with one (families
such as ssl-*); underscores, which it takes for dashes, are refused by the pattern. The names were read from
vLLM 0.32's own parser. The engine's entrypoint parses the result again with the engine's parser.
"""

from __future__ import annotations

from typing import Final

from pointsman.api.schema import Rule, cel_string

OWN_FIELDS: Final[dict[str, str]] = {
    "data-parallel": "parallelism.data",
    "device-memory-utilization": "engine.gpuMemoryUtilization",
    "dtype": "engine.dtype",
    "enable-auto-tool-choice": "model.defaults.toolCallParser",
    "enable-expert-parallel": "parallelism.expert",
    "gpu-memory-utilization": "engine.gpuMemoryUtilization",
    "max-model-len": "engine.maxModelLen",
    "model": "model.source.uri",
    "pipeline-parallel-size": "parallelism.pipeline",
    "quantization": "engine.quantization",
    "reasoning-parser": "model.defaults.reasoningParser",
    "revision": "model.source.revision",
    "served-model-name": "modelNames",
    "shutdown-timeout": "drainSeconds",
    "tensor-parallel-size": "parallelism.tensor",
    "tool-call-parser": "model.defaults.toolCallParser",
    "trust-remote-code": "model.defaults.trustRemoteCode",
}
"""Arguments that a field of ours sets, and which."""

FORBIDDEN_ARGS: Final[dict[str, str]] = {
    "additional-config": "is handed to plugins",
    "allowed-local-media-path": "opens files of the pod to clients",
    "api-key": "locks the router out; access belongs to the router",
    "api-server-count": "is part of how the entrypoint runs the engine",
    "chat-template": "reads a file of the pod",
    "code-revision": "follows model.source.revision",
    "compilation-config": "imports code by name",
    "config": "reads every argument from a file",
    "default-mm-loras": "reads files of the pod",
    "disable-log-stats": "takes away the measurements that routers read",
    "distributed-executor-backend": "imports code by name",
    "download-dir": "is the weights volume",
    "dp-supervisor": "opens a port",
    "ec-manager-config": "imports code by name",
    "ec-transfer-config": "imports code by name",
    "enable-scale-out": "opens routes to other engines",
    "enable-ssl-refresh": "concerns the engine's door, which is inside the cluster",
    "grpc": "opens a port",
    "headless": "leaves the engine without its API",
    "help": "prints and exits",
    "hf-config-path": "reads another repository or a file",
    "hf-token": "would show a token; use model.source.secretRef",
    "host": "is where routers expect the engine",
    "io-processor-plugin": "imports code by name",
    "kv-events-config": "opens a port",
    "kv-transfer-config": "imports code by name",
    "log-config-file": "builds objects named in a file",
    "logging-config": "builds objects named in a file",
    "logits-processors": "imports code by name",
    "lora-modules": "reads files of the pod and adds model names the router doesn't know",
    "master-addr": "joins engines of several pods",
    "master-port": "joins engines of several pods",
    "middleware": "imports code by name",
    "nnodes": "joins engines of several pods",
    "node-rank": "joins engines of several pods",
    "port": "is where routers expect the engine",
    "profiler-config": "writes files",
    "root-path": "moves the routes the router knows",
    "scheduler-cls": "imports code by name",
    "ssl": "concerns the engine's door, which is inside the cluster",
    "tokenizer-revision": "follows model.source.revision",
    "tool-parser-plugin": "imports code by name",
    "tool-server": "lets the model call other servers",
    "uds": "moves the engine's door",
    "weight-transfer-config": "replaces the weights from outside",
    "worker": "imports code by name",
}
"""Arguments that nobody may give, and what each does that isn't wanted."""

RESERVED_ARGS: Final = tuple(sorted({*OWN_FIELDS, *FORBIDDEN_ARGS}))

HARMLESS_ARGS: Final = ("chat-template-content-format", "config-format", "model-impl")
"""Arguments that begin with a reserved name and yet may be given, written out in full."""

RESERVED_ENV: Final[dict[str, str]] = {
    "ALL_PROXY": "is the operator's setting",
    "BASH_ENV": "runs a file",
    "CUDA_VISIBLE_DEVICES": "would take other devices than were given",
    "CURL_CA_BUNDLE": "is the operator's setting",
    "GCONV_PATH": "loads code",
    "GLIBC_TUNABLES": "changes how code is loaded",
    "HF_*": "hub, token and caches are the operator's settings and the model's",
    "HIP_VISIBLE_DEVICES": "would take other devices than were given",
    "HOME": "is a volume of the pod",
    "HTTPS_PROXY": "is the operator's setting",
    "HTTP_PROXY": "is the operator's setting",
    "HUGGING*": "hub, token and caches are the operator's settings and the model's",
    "LD_*": "loads code",
    "NO_PROXY": "is the operator's setting",
    "NVIDIA_*": "would take other devices than were given",
    "PATH": "says which programs run",
    "POINTSMAN_*": "tells the entrypoint what to do",
    "PYTHON*": "loads code",
    "REQUESTS_CA_BUNDLE": "is the operator's setting",
    "ROCR_VISIBLE_DEVICES": "would take other devices than were given",
    "SSL_*": "is the operator's setting",
    "TMPDIR": "is a volume of the pod",
    "VLLM_ALLOW_INSECURE_SERIALIZATION": "lets messages run code",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "lets clients load files of the pod",
    "VLLM_API_KEY": "locks the router out; access belongs to the router",
    "VLLM_CACHE_ROOT": "is a volume of the pod",
    "VLLM_CONFIG_ROOT": "is a volume of the pod",
    "VLLM_CUDART_SO_PATH": "loads code",
    "VLLM_DP_*": "joins engines of several pods",
    "VLLM_HOST_IP": "moves the engine's door",
    "VLLM_LOGGING_CONFIG_PATH": "builds objects named in a file",
    "VLLM_LORA_RESOLVER_*": "reads files of the pod",
    "VLLM_MEDIA_CONNECTOR": "loads code",
    "VLLM_MODEL_REDIRECT_PATH": "replaces the model",
    "VLLM_NCCL_SO_PATH": "loads code",
    "VLLM_PLUGINS": "loads code",
    "VLLM_PORT": "moves the engine's door",
    "VLLM_RPC_BASE_PATH": "moves the engine's door",
    "VLLM_RUST_*": "runs another program",
    "VLLM_SERVER_DEV_MODE": "opens routes that control the engine",
    "VLLM_USE_MODELSCOPE": "takes weights from elsewhere than declared",
    "VLLM_USE_RUST_*": "runs another program",
    "XDG_*": "is a volume of the pod",
    "all_proxy": "is the operator's setting",
    "http_proxy": "is the operator's setting",
    "https_proxy": "is the operator's setting",
    "no_proxy": "is the operator's setting",
}
"""Environment variables that nobody may set (a star: any that begin so), and what each does."""

RESERVED_METADATA: Final[dict[str, str]] = {
    "pointsman.dev": "is ours",
    "kubernetes.io": "is Kubernetes' own",
    "k8s.io": "is Kubernetes' own",
    "argoproj.io": "is how Argo CD recognises what it manages",
    "fluxcd.io": "is how Flux recognises what it manages",
    "helm.sh": "is how Helm recognises what it manages",
}
"""Domains, with all below them, whose labels and annotations pods mustn't be given, and why."""

RESERVED_HEADERS: Final[dict[str, str]] = {
    "api-key": "holds a client's key",
    "authorization": "holds a client's key",
    "connection": "belongs to one connection",
    "content-length": "frames a message",
    "cookie": "holds a client's secrets",
    "expect": "belongs to one connection",
    "forwarded": "is for trusted proxies alone",
    "host": "frames a message",
    "keep-alive": "belongs to one connection",
    "proxy-*": "belongs to one connection",
    "set-cookie": "holds a client's secrets",
    "te": "belongs to one connection",
    "trailer": "frames a message",
    "transfer-encoding": "frames a message",
    "upgrade": "belongs to one connection",
    "via": "is for trusted proxies alone",
    "x-api-key": "holds a client's key",
    "x-forwarded-*": "is for trusted proxies alone",
    "x-pointsman-*": "is ours",
    "x-real-ip": "is for trusted proxies alone",
}
"""Request headers that no setting may name, in any case (a star: any that begin so), and why."""

HEADER_PATTERN: Final = f"(?i:{'|'.join(name.replace('*', '.*') for name in RESERVED_HEADERS)})"
ENV_PATTERN: Final = "|".join(name.replace("*", ".*") for name in RESERVED_ENV)
METADATA_PATTERN: Final = (
    rf"([a-z0-9.-]*[.])?({'|'.join(RESERVED_METADATA).replace('.', '[.]')})/.*"
    r"|pod-template-hash|controller-revision-hash"
)


def is_reserved_arg(name: str) -> bool:
    """Whether the engine's parser might take this argument for a reserved one."""
    if name in HARMLESS_ARGS:
        return False
    return name.startswith(RESERVED_ARGS) or any(word.startswith(name) for word in RESERVED_ARGS)


def _no_arg(name: str, message: str) -> Rule:
    return Rule(
        cel=f"!has(self.args) || !({cel_string(name)} in self.args)",
        holds=lambda engine: name not in (engine.args or {}),
        message=message,
        field="args",
        key=name,
    )


def _nothing_alike() -> Rule:
    # One pass over the name each: beginning with a reserved one is a regular expression, being a prefix of
    # one is a search in all of them, each with a comma in front. The names themselves have their own rules.
    begins = cel_string(f"^({'|'.join(RESERVED_ARGS)})")
    every = cel_string("," + ",".join(RESERVED_ARGS))
    exempt = cel_string(f"^({'|'.join((*HARMLESS_ARGS, *RESERVED_ARGS))})$")
    alike = f"(name.matches({begins}) || {every}.contains(',' + name)) && !name.matches({exempt})"
    return Rule(
        cel=f"!has(self.args) || !self.args.exists(name, {alike})",
        holds=lambda engine: (
            not any(is_reserved_arg(name) and name not in RESERVED_ARGS for name in engine.args or {})
        ),
        message=(
            "engine.args must not hold a name that the engine may take for a reserved one: one that begins "
            "with it, or is the beginning of it; docs/reference/api.md lists the reserved names"
        ),
        field="args",
    )


ARGS_RULES: Final = (
    *(_no_arg(name, f"use {field} instead") for name, field in sorted(OWN_FIELDS.items())),
    *(_no_arg(name, f"remove it: it {why}") for name, why in sorted(FORBIDDEN_ARGS.items())),
    _nothing_alike(),
)
