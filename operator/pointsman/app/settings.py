"""What the environment tells the operator, read once and checked as a whole.

Everything here is an environment variable `POINTSMAN_<NAME>`; the chart sets them from its values. What
decisions depend on goes into `core.settings.Settings`; the rest is about this process.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from pointsman import __version__
from pointsman.core.settings import Settings

PREFIX = "POINTSMAN_"


class SettingsError(ValueError):
    """The environment can't be used; the message has one line for each variable that is wrong."""


@dataclass(frozen=True, slots=True)
class AppSettings:
    """All settings, by the name of their variable in lower case without the prefix."""

    router_image: str
    """Image of router pods. Required. A change rolls all routers, one pod at a time."""
    resolve_image: str
    """Image of the Job that looks a remote model up; the operator's own. Required."""
    engine_images: Mapping[str, str] = field(default_factory=dict)
    """JSON map from accelerator resource (`cpu` for none) to engine image, in which `{version}` stands for
    the service's engine version. Default: none, so every service must name its image. Read when a revision
    is born; revisions that exist keep theirs."""
    engine_version: str = __version__
    """What `{version}` means when a service names none. Default: the operator's version."""
    image_pull_policy: str = "IfNotPresent"
    """`imagePullPolicy` of everything that is rendered: Always, IfNotPresent or Never."""
    image_pull_secrets: tuple[str, ...] = ()
    """Comma-separated Secrets with which nodes pull the images of routers, engines and resolve Jobs; each
    serving namespace must have them. Default: none. A change rolls all routers, and no engine."""
    startup_seconds: int = 3600
    """Seconds an engine may take from its first second to ready. Too short, and big models never start."""
    hf_endpoint: str = ""
    """Address of a mirror of the Hugging Face hub. Default: the hub itself."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """JSON map of proxy variables for pods that fetch weights. Default: none."""
    ca_config_map: str = ""
    """ConfigMap with a private CA (`ca.crt`) in each serving namespace. Default: none."""
    capacity_discovery: bool = False
    """true: while pods find no place, nodes and their pods are listed, so that status tells what is asked
    for, what is free, and on how many nodes; that needs the rights in docs/reference/rbac.md. Default: false,
    the scheduler's own account alone."""
    namespace: str = "pointsman-system"
    """Namespace the operator runs in: only from there may routers' admin ports be reached."""
    pod_name: str = "pointsman"
    """Name of this process in events."""
    watch_namespaces: tuple[str, ...] = ()
    """Comma-separated namespaces to look after. Default: all, which needs a ClusterRole."""
    kubeconfig: str = ""
    """Path of a kubeconfig, to run outside a cluster. Default: the pod's service account. KUBECONFIG isn't
    read."""
    kube_context: str = ""
    """Context in that kubeconfig. Default: its current one."""
    resync_seconds: int = 600
    """Seconds between full re-lists. They find what watches missed; a longer time finds it later."""
    concurrency: int = 16
    """Passes at the same time. Most of their time they wait for the API server's reads; of writes at most 16
    are under way, however many passes are."""
    writes_per_second: int = 500
    """Writes a second asked of the API server, and as many of status; bursts of twice that. 0: no limit."""
    pass_seconds: int = 120
    """Seconds after which a pass is given up and tried again later."""
    drain_seconds: int = 10
    """Seconds that running passes get to finish when the operator is told to stop."""
    http_port: int = 8080
    """Port of /healthz, /readyz and /metrics, on all addresses."""
    debug_port: int = 8079
    """Port of /debug/queue, on loopback only. 0: none."""
    log_level: str = "info"
    """debug, info, warning or error. At info there's one line for each pass."""

    def for_decisions(self) -> Settings:
        """The part that decisions take as an input."""
        return Settings(
            router_image=self.router_image,
            resolve_image=self.resolve_image,
            engine_images=self.engine_images,
            engine_version=self.engine_version,
            image_pull_policy=self.image_pull_policy,
            image_pull_secrets=self.image_pull_secrets,
            hf_endpoint=self.hf_endpoint,
            environment=self.environment,
            ca_config_map=self.ca_config_map,
            startup_seconds=self.startup_seconds,
            capacity_discovery=self.capacity_discovery,
            operator_namespace=self.namespace,
            operator_version=__version__,
        )


_BOUNDS: Mapping[str, tuple[int, int]] = {
    "concurrency": (1, 256),
    "debug_port": (0, 65535),
    "drain_seconds": (0, 600),
    "http_port": (1, 65535),
    "pass_seconds": (10, 3600),
    "resync_seconds": (10, 86400),
    "startup_seconds": (60, 86400),
    "writes_per_second": (0, 100_000),
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "image_pull_policy": ("Always", "IfNotPresent", "Never"),
    "log_level": ("debug", "info", "warning", "error"),
}


def read(environ: Mapping[str, str]) -> AppSettings:
    """The settings in an environment. A variable that is empty counts as not set. Raises SettingsError."""
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for spec in fields(AppSettings):
        variable = PREFIX + spec.name.upper()
        text = environ.get(variable, "")
        if not text:
            if spec.default is MISSING and spec.default_factory is MISSING:
                wrong.append(f"{variable} is required")
            continue
        try:
            values[spec.name] = _READERS[str(spec.type)](spec.name, text)
        except ValueError as error:
            wrong.append(f"{variable}: {error}")
    if wrong:
        raise SettingsError("\n".join(wrong))
    return AppSettings(**values)


def _text(name: str, text: str) -> str:
    choices = _CHOICES.get(name)
    if choices and text not in choices:
        raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
    return text


def _number(name: str, text: str) -> int:
    low, high = _BOUNDS[name]
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ValueError(f"{text!r} is not a whole number from {low} to {high}")
    return int(text)


def _switch(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def _names(name: str, text: str) -> tuple[str, ...]:
    return tuple(sorted({part.strip() for part in text.split(",") if part.strip()}))


def _map(name: str, text: str) -> dict[str, str]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("not a JSON map of texts")
    return value


_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "str": _text,
    "int": _number,
    "bool": _switch,
    "tuple[str, ...]": _names,
    "Mapping[str, str]": _map,
}


def described() -> str:
    """All variables, each with its meaning, for people."""
    tree = ast.parse(inspect.getsource(AppSettings))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    lines: list[str] = []
    for line, following in itertools.pairwise(body):
        if (
            isinstance(line, ast.AnnAssign)
            and isinstance(line.target, ast.Name)
            and isinstance(following, ast.Expr)
        ):
            text = " ".join(str(ast.literal_eval(following.value)).split())
            default = ast.unparse(line.value) if isinstance(line.value, ast.Constant) else ""
            lines.append(f"{PREFIX}{line.target.id.upper()}" + (f" (default {default})" if default else ""))
            lines.append(f"    {text}")
    return "\n".join(lines)
