"""Prompts and suites by what they say: their digests.

A digest is made of what was declared, sealed (see `api.sealing`), so that a recorded World, which holds no
texts, has the same one. Fields that were left out don't count: one that joins the API later changes none.
"""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel

from pointsman.api import sealing
from pointsman.api.common import without_empty
from pointsman.api.prompt import PromptSpec
from pointsman.api.prompt_suite import SuiteSpec


def digest(spec: PromptSpec | SuiteSpec) -> str:
    """`sha256:` and 64 hex digits, the same for the same messages, variables and parameters, or cases.

    The family is no part of it: it says what for, not what.
    """
    declared = sealing.seal(_given(spec))
    declared.pop("family", None)
    canonical = json.dumps(declared, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def short(digest_: str) -> str:
    """The first eight hex digits, as names have them."""
    return digest_.removeprefix("sha256:")[:8]


def _given(spec: BaseModel) -> dict[str, object]:
    return dict(without_empty(spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)))
