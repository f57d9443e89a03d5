"""Prompts and suites by what they say: their digests.

A digest is made of what was declared, sealed (see `api.sealing`), so that a recorded World, which holds no
texts, has the same one. Fields that were left out don't count: one that joins the API later changes none.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

from pydantic import BaseModel

from pointsman.api import sealing
from pointsman.api.common import without_empty
from pointsman.api.prompt import IDENTIFIER, PromptSpec
from pointsman.api.prompt_suite import SuiteSpec

SLOT: Final = re.compile(rf"\{{\{{({IDENTIFIER})\}}\}}")
"""Where a variable's value goes."""


def digest(spec: PromptSpec | SuiteSpec) -> str:
    """`sha256:` and 64 hex digits, the same for the same messages, variables and parameters, or cases.

    The family is no part of it: it says what for, not what.
    """
    declared = sealing.seal(_given(spec))
    declared.pop("family", None)
    canonical = json.dumps(declared, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def flaw(spec: PromptSpec) -> str:
    """What is wrong with a prompt that no schema can tell, by its field; empty: nothing.

    CEL could tell it for small prompts alone: the API server counts on the longest texts of all messages for
    every variable.
    """
    declared = [variable.name for variable in spec.variables or ()]
    used = [name for message in spec.messages for name in SLOT.findall(message.content)]
    unknown = next((name for name in used if name not in declared), None)
    if unknown is not None:
        return f"spec.messages: {unknown!r} stands in double braces and isn't declared in spec.variables"
    unused = next((name for name in declared if name not in used), None)
    return f"spec.variables: {unused!r} stands in no message" if unused is not None else ""


def short(digest_: str) -> str:
    """The first eight hex digits, as names have them."""
    return digest_.removeprefix("sha256:")[:8]


def _given(spec: BaseModel) -> dict[str, object]:
    return dict(without_empty(spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)))
