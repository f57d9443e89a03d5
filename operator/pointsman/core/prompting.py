"""Prompts and suites by what they say: digests, the copies that services keep, and what routers are told.

A digest is made of what was declared, sealed (see `api.sealing`), so that a recorded World, which holds no
texts, has the same one. Fields that were left out don't count: one that joins the API later changes none.

What a service answers by is copied into a ControllerRevision of its own before any request sees it: so a
PromptVersion that is deleted, or made again with another text, changes no answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from pointsman.api import names, sealing
from pointsman.api.common import without_empty
from pointsman.api.prompt import IDENTIFIER, PromptParameters, PromptSpec, PromptVariable
from pointsman.api.prompt_suite import SuiteSpec
from pointsman.core.variant import Variant
from pointsman.core.world import Manifest
from pointsman_router import config

HISTORY: Final = 5
"""How many copies are kept beside those in use."""
SLOT: Final = re.compile(rf"\{{\{{({IDENTIFIER})\}}\}}")
"""Where a variable's value goes."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A service's copy of a prompt."""

    name: str
    """What the PromptVersion was called when it was made."""
    digest: str
    """Eight hex digits: by them variants name it."""
    number: int
    """Counts up with each copy of a service."""
    spec: PromptSpec


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


def _given(spec: BaseModel) -> dict[str, Any]:
    return dict(without_empty(spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)))


# A service's copies.


def manifest(service: str, copy: Copy, operator_version: str) -> dict[str, Any]:
    """The ControllerRevision that holds a copy (without owner and labels)."""
    return {
        "apiVersion": names.CONTROLLERREVISION.api_version,
        "kind": names.CONTROLLERREVISION.kind,
        "metadata": {"name": names.prompt_name(service, copy.digest)},
        "revision": copy.number,
        "data": {"name": copy.name, "prompt": _given(copy.spec), "copiedBy": operator_version},
    }


def thaw(children: Iterable[Manifest]) -> dict[str, Copy]:
    """The copies that ControllerRevisions hold, by digest. One that can't be read is none."""
    found = {}
    for child in children:
        data = child.get("data") or {}
        digest8 = child["metadata"]["name"].rpartition("-")[2]
        try:
            spec = PromptSpec.model_validate(data.get("prompt"))
        except ValidationError:
            continue
        if not flaw(spec):
            found[digest8] = Copy(str(data.get("name", "")), digest8, int(child.get("revision") or 0), spec)
    return found


def copied(name: str, spec: PromptSpec, copies: Mapping[str, Copy]) -> Copy:
    """A new copy beside these."""
    number = max((copy.number for copy in copies.values()), default=0) + 1
    return Copy(name, short(digest(spec)), number, spec)


def of_name(name: str, copies: Mapping[str, Copy], variants: Sequence[Variant | None]) -> Copy | None:
    """The copy of a PromptVersion that is gone: the one in use under its name, else the newest."""
    used = [v.digest for v in variants if v is not None and v.prompt == name and v.digest in copies]
    if used:
        return copies[used[0]]
    called = [copy for copy in copies.values() if copy.name == name]
    return max(called, key=lambda copy: copy.number, default=None)


def expired(copies: Mapping[str, Copy], in_use: frozenset[str]) -> frozenset[str]:
    """Digests of copies beyond the history: the oldest that nothing uses."""
    idle = [copy for copy in copies.values() if copy.digest not in in_use]
    return frozenset(c.digest for c in sorted(idle, key=lambda c: c.number, reverse=True)[HISTORY:])


# What routers are told.


def key(variant: Variant) -> str:
    """What a variant's prompt is called in the routers' configuration; empty without one."""
    return f"{variant.prompt}.{variant.digest}" if variant.prompt else ""


def compiled(variants: Iterable[Variant], copies: Mapping[str, Copy]) -> tuple[config.Prompt, ...]:
    """The prompts of these variants, as far as there are copies of them."""
    used = {key(v): copies[v.digest] for v in variants if v.prompt and v.digest in copies}
    return tuple(_prompt(name, used[name].spec) for name in sorted(used))


def _prompt(name: str, spec: PromptSpec) -> config.Prompt:
    return config.Prompt(
        name=name,
        messages=tuple(config.PromptMessage(it.role.value, it.content) for it in spec.messages),
        variables=tuple(_variable(it) for it in spec.variables or ()),
        parameters=tuple(_fixed(spec.parameters or PromptParameters())),
        digest=digest(spec),
    )


def _variable(given: PromptVariable) -> config.PromptVariable:
    limits = {
        name: value
        for name, value in (
            ("max_length", given.max_length),
            ("options", given.enum),
            ("minimum", given.minimum),
            ("maximum", given.maximum),
        )
        if value is not None
    }
    return config.PromptVariable(
        name=given.name,
        type=config.VariableType(given.type.value),
        required=given.default is None,
        default=given.default or "",
        **limits,  # type: ignore[arg-type]
    )


def _fixed(given: PromptParameters) -> Iterable[config.Fixed]:
    for name, value in (
        ("temperature", given.temperature),
        ("top_p", given.top_p),
        ("max_completion_tokens", given.max_tokens),
        ("seed", given.seed),
        ("stop", given.stop),
    ):
        if value is not None:
            # A decimal is written as a string, and is a number in JSON as it stands.
            yield config.Fixed(name, value if isinstance(value, str) else json.dumps(value))
