"""Whether an object still is what was last applied to it, without a word to the server.

An apply that changes nothing costs the server more than a create, and after a start nothing is remembered.
The digest on the object says that the last apply was this very one; what hands have done since shows in its
fields. In doubt the answer is no: then it's applied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from pointsman.api.names import ANNOTATION_APPLIED, LABEL_MANAGED_BY, LABEL_ON_DEMAND, LLMROUTER
from pointsman.api.quantity import amount
from pointsman.core.world import Manifest

ATOMIC = frozenset(
    {
        "egress",
        "ingress",
        "labelSelector",
        "matchLabels",
        "namespaceSelector",
        "nodeSelector",
        "podSelector",
        "roleRef",
        "rules",
        "selector",
        "subjects",
        "tolerations",
    }
)
"""Fields that have one owner as a whole: whatever somebody adds to them takes them from us."""
QUANTITIES = frozenset({"limits", "requests", "sizeLimit"})
"""Fields below which the server writes a number in its own way."""
CONTROLLERS = ("deployment.kubernetes.io/", "batch.kubernetes.io/")
"""Prefixes of annotations that Kubernetes' own controllers write after each of our applies."""
UNMARKED = frozenset({LLMROUTER.kind})
"""Kinds that people may take over from us: nothing of ours may stay on them then."""


def marked(intent: Manifest) -> Mapping[str, Any]:
    """What is sent to the server: the intent, and its own digest as an annotation."""
    if intent["kind"] in UNMARKED:
        return intent
    metadata = intent["metadata"]
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION_APPLIED: digest(intent).hex()}
    return {**intent, "metadata": {**metadata, "annotations": annotations}}


def holds(there: Manifest, intent: Manifest) -> bool:
    """Whether applying `intent` to the object as it is now would change nothing."""
    if intent["kind"] in UNMARKED and _our_labels(there) != _our_labels(intent):
        # No digest tells that the last apply was another one, whose labels and owners this one takes back.
        return False
    return _holds(there, marked(intent), "")


def _our_labels(obj: Manifest) -> set[str]:
    return {*(obj["metadata"].get("labels") or {})} & {LABEL_MANAGED_BY, LABEL_ON_DEMAND}


def content(obj: Mapping[str, Any]) -> bytes:
    """Digest of what a hand could have changed: everything but status and the server's own bookkeeping."""
    metadata = obj["metadata"]
    own = {name: metadata.get(name) for name in ("labels", "ownerReferences", "finalizers")}
    annotations = metadata.get("annotations") or {}
    own["annotations"] = {k: v for k, v in annotations.items() if not k.startswith(CONTROLLERS)}
    rest = {name: value for name, value in obj.items() if name not in ("metadata", "status")}
    return digest({**rest, "metadata": own})


def digest(value: object) -> bytes:
    """Digest of anything that is JSON; maps have no order."""
    text = orjson.dumps(value, default=dict, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).digest()


def _holds(there: Any, wanted: Any, field: str) -> bool:
    if there == wanted:
        return True
    if field in ATOMIC:
        return False
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        below = field if field in QUANTITIES else ""
        return all(_holds(there.get(key), value, below or key) for key, value in wanted.items())
    if isinstance(wanted, list | tuple) and isinstance(there, Sequence) and not isinstance(there, str):
        # One more or less is somebody's work; which one it is doesn't matter.
        return len(there) == len(wanted) and all(
            _holds(one, other, field) for one, other in zip(there, wanted, strict=True)
        )
    return field in QUANTITIES and _same_quantity(there, wanted)


def _same_quantity(one: Any, other: Any) -> bool:
    try:
        return amount(str(one)) == amount(str(other))
    except ValueError:
        return False
