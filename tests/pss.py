"""The restricted Pod Security Standard as a function: what in a pod breaks it.

Written from the standard's own text, so that rendered pods are judged without a cluster: every test that
renders pods uses it. Like the standard it looks at init and ephemeral containers too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

VOLUME_TYPES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SAFE_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}
SELINUX_TYPES = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
PROFILES = {"RuntimeDefault", "Localhost"}

Spec = Mapping[str, Any]


def violations(spec: Spec) -> list[str]:
    """What in a pod's spec the restricted standard forbids, in words; empty when it's kept."""
    found = list(_pod(spec))
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            name = f"container {container['name']}"
            found += [f"{name}: {text}" for text in _container(container, spec.get("securityContext") or {})]
    return found


def pod_specs(manifest: Mapping[str, Any]) -> list[Spec]:
    """The pod specs within a manifest: of a Pod itself, of a workload's template, of a CronJob's."""
    kind, spec = manifest.get("kind"), manifest.get("spec") or {}
    if kind == "Pod":
        return [spec]
    if kind == "CronJob":
        return [spec["jobTemplate"]["spec"]["template"]["spec"]]
    template = spec.get("template")
    return [template["spec"]] if isinstance(template, Mapping) and "spec" in template else []


def _pod(spec: Spec) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} is set"
    security = spec.get("securityContext") or {}
    for sysctl in security.get("sysctls") or ():
        if sysctl["name"] not in SAFE_SYSCTLS:
            yield f"sysctl {sysctl['name']} is not a safe one"
    if (security.get("windowsOptions") or {}).get("hostProcess"):
        yield "windowsOptions.hostProcess is set"
    yield from _identity(security)
    yield from _profiles(security)
    for volume in spec.get("volumes") or ():
        for kind in set(volume) - {"name"} - VOLUME_TYPES:
            yield f"volume {volume['name']} is of type {kind}"


def _container(container: Spec, pod: Spec) -> Iterator[str]:
    security = container.get("securityContext") or {}
    if security.get("privileged"):
        yield "is privileged"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if security.get("procMount") not in (None, "Default"):
        yield "procMount is not Default"
    if (security.get("windowsOptions") or {}).get("hostProcess"):
        yield "windowsOptions.hostProcess is set"
    capabilities = security.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or ()):
        yield "capabilities do not drop ALL"
    for name in set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
        yield f"capability {name} is added"
    if security.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    if (security.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type") not in PROFILES:
        yield "seccompProfile is neither RuntimeDefault nor Localhost"
    yield from _identity(security)
    yield from _profiles(security)
    yield from _reach(container)


def _reach(container: Spec) -> Iterator[str]:
    for port in container.get("ports") or ():
        if port.get("hostPort"):
            yield f"port {port['containerPort']} is a host port"
    lifecycle = container.get("lifecycle") or {}
    actions = {name: lifecycle.get(name) for name in ("postStart", "preStop")}
    actions |= {name: container.get(name) for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    for name, action in actions.items():
        for kind in ("httpGet", "tcpSocket"):
            if ((action or {}).get(kind) or {}).get("host"):
                yield f"{name} names a host"


def _identity(security: Spec) -> Iterator[str]:
    if security.get("runAsUser") == 0:
        yield "runAsUser is 0"
    selinux = security.get("seLinuxOptions") or {}
    if selinux.get("type") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions choose a user, a role or an unconfined type"


def _profiles(security: Spec) -> Iterator[str]:
    if (security.get("seccompProfile") or {}).get("type", "RuntimeDefault") not in PROFILES:
        yield "seccompProfile is Unconfined"
    if (security.get("appArmorProfile") or {}).get("type", "RuntimeDefault") not in PROFILES:
        yield "appArmorProfile is Unconfined"
