"""The Go module that builds one release of Kubernetes.

Kubernetes is published as a Go module, but its go.mod replaces every staging module by a folder that the
published archive does not have. A module of ours therefore requires it, names its commands as tools, and
replaces each staging module by the release of the same number. Pure text in, text out: running `go` is
the business of gobuild.py.
"""

from __future__ import annotations

import re

KUBERNETES_COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)

_STAGING = re.compile(r"^\s*(?:replace\s+)?(k8s\.io/[\w.-]+)\s+=>\s+\./staging/src/", re.MULTILINE)
_DIRECTIVE = re.compile(r"^(go|godebug) .+$", re.MULTILINE)


def staging_modules(upstream: str) -> list[str]:
    """The modules that `upstream`, the go.mod of k8s.io/kubernetes, replaces by its staging folders."""
    return sorted(set(_STAGING.findall(upstream)))


def staging_version(version: str) -> str:
    """The number a staging module carries for Kubernetes `version`: 1.37.2 is v0.37.2."""
    major, rest = version.split(".", 1)
    if major != "1":
        raise ValueError(f"Kubernetes {version}: only releases 1.x publish their staging modules as 0.x")
    return f"v0.{rest}"


def kubernetes_module(version: str, upstream: str) -> str:
    """The go.mod that builds Kubernetes `version`, given that release's own go.mod.

    It still wants `go mod tidy`, which adds the indirect requirements.
    """
    staged = staging_modules(upstream)
    if not staged:
        raise ValueError(f"the go.mod of Kubernetes {version} replaces no staging module")
    directives = "\n\n".join(match.group(0) for match in _DIRECTIVE.finditer(upstream))
    tools = "\n".join(f"\tk8s.io/kubernetes/cmd/{command}" for command in KUBERNETES_COMMANDS)
    number = staging_version(version)
    replaces = "\n".join(f"\t{module} => {module} {number}" for module in staged)
    return (
        "module pointsman.dev/e2e/cluster/kubernetes\n\n"
        f"{directives}\n\n"
        f"require k8s.io/kubernetes v{version}\n\n"
        f"tool (\n{tools}\n)\n\n"
        f"replace (\n{replaces}\n)\n"
    )
