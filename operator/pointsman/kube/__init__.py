"""Kubernetes behind a small Protocol: `protocol` (verbs, errors), `client` (real), `twin` (in memory).

The only package that imports `kubernetes`. It knows nothing of what is decided (`core`) or of triggers.
"""

from pointsman.kube.protocol import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    Kube,
    KubeError,
    NotFound,
    Object,
    Retryable,
)

__all__ = [
    "AlreadyExists",
    "Conflict",
    "Forbidden",
    "Invalid",
    "Kube",
    "KubeError",
    "NotFound",
    "Object",
    "Retryable",
]
