"""Specs as the generated CRDs describe them: hypothesis strategies from structural schemas, nothing by hand.

What a schema says of types, bounds, patterns and keys is generated; what its CEL rules say between fields is
mended afterwards with the help of their twins, by leaving out what breaks them.
"""

from __future__ import annotations

import copy
import functools
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pointsman.api.kinds import KINDS

CRDS = Path(__file__).parents[2] / "crds"
Json = dict[str, Any]
Strategy = st.SearchStrategy[Any]

MODELS: Mapping[str, type[BaseModel]] = {row.resource.kind: row.model for row in KINDS}
QUANTITIES = ["0", "1", "4", "250m", "500m", "1Gi", "1.5Gi", "64Gi", "2e3", "80G", "1k"]
NUMBERS = [0, 1, 2, 3, 4, 5, 8, 16, 64, 100, 1000, 3600, 65536, 2**31 - 1, 2**36]
MOMENTS = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:10:00.123456789Z",
    "2025-12-31T23:59:59+05:30",
    "2038-01-19T03:14:07Z",
]
RANGES = ["10.0.0.0/8", "192.168.1.7/24", "0.0.0.0/0", "fd00::/8", "2001:DB8::1/64"]
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))

_MATCHES = re.compile(r"(!?)(?:self|string\(self\))\.matches\('((?:[^'\\]|\\.)*)'\)")
_KEYS = re.compile(r"!self\.(\w+)\.exists\(key, (!?)key\.matches\('((?:[^'\\]|\\.)*)'\)\)")
_RANGES = re.compile(r"(?:isCIDR\(self\.(\w+)\)|self\.(\w+)\.all\(range, isCIDR\(range\)\))")
_EITHER = re.compile(r"has\(self\.(\w+)\) != has\(self\.(\w+)\)")
_ONE = re.compile(r"\(has\(self\.(\w+)\) \? 1 : 0\)")


@functools.cache
def schema_of(kind: str, part: str = "spec") -> Json:
    """The structural schema of a kind's spec or status."""
    for path in CRDS.glob("*.yaml"):
        crd = yaml.safe_load(path.read_text())
        if crd["spec"]["names"]["kind"] == kind:
            version = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            return dict(version["properties"][part])
    raise AssertionError(f"no CRD of {kind}")


@functools.cache
def accepted(kind: str) -> Strategy:
    """Specs that the API server would store."""
    return (
        values(schema_of(kind))
        .map(lambda spec: mended(kind, spec))
        .filter(lambda spec: not refusal(kind, spec))
    )


@functools.cache
def refused(kind: str) -> Strategy:
    """Specs that the schema admits and a rule refuses."""
    return values(schema_of(kind), choose=False).filter(lambda spec: bool(refusal(kind, spec)))


def refusal(kind: str, spec: Json, **more: Any) -> str:
    """What the twins say against a spec; empty: nothing."""
    try:
        MODELS[kind].model_validate({"metadata": {"name": "chat"}, "spec": spec, **more})
    except ValidationError as error:
        return str(error)
    return ""


def values(schema: Json, choose: bool = True) -> Strategy:
    """Values that a structural schema admits. `choose`: of fields that exclude each other, one."""
    if schema.get("x-kubernetes-int-or-string"):
        return st.one_of(st.sampled_from(QUANTITIES), st.integers(0, 64))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            return _objects(schema, choose)
        case "array":
            return _lists(schema, choose)
        case "string":
            return _strings(schema)
        case "integer":
            return _integers(schema)
        case "boolean":
            return st.booleans()
        case other:
            raise AssertionError(f"a type that no generator knows: {other}")


def _objects(schema: Json, choose: bool) -> Strategy:
    if "additionalProperties" in schema:
        raise AssertionError("a map is made by its parent, which knows the keys")
    required = set(schema.get("required", ()))
    fields = {
        name: _field(schema, name, field, choose) for name, field in schema.get("properties", {}).items()
    }
    exclusive = _exclusive(schema) if choose else []
    made = st.fixed_dictionaries(
        {name: field for name, field in fields.items() if name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )
    for group in exclusive:
        made = st.builds(
            _chosen,
            made,
            st.just(group),
            st.fixed_dictionaries({n: fields[n] for n in group}),
            st.integers(0, 7),
        )
    return made


def _field(parent: Json, name: str, schema: Json, choose: bool) -> Strategy:
    """A field, with what its parent's rules say of it."""
    if "additionalProperties" in schema:
        return _map(parent, name, schema, choose)
    rules = [rule["rule"] for rule in parent.get("x-kubernetes-validations", ())]
    if any(name in found for rule in rules for found in _RANGES.findall(rule)):
        ranges = st.sampled_from(RANGES)
        return st.lists(ranges, min_size=1, max_size=3, unique=True) if "items" in schema else ranges
    return values(schema, choose)


def _chosen(value: Json, group: tuple[str, ...], filled: Json, number: int) -> Json:
    """Of fields of which there must be one, one."""
    name = group[number % len(group)]
    return {**{key: item for key, item in value.items() if key not in group}, name: filled[name]}


def _exclusive(schema: Json) -> list[tuple[str, ...]]:
    rules = [rule["rule"] for rule in schema.get("x-kubernetes-validations", ())]
    pairs = [match.groups() for rule in rules if (match := _EITHER.fullmatch(rule))]
    ones = [tuple(_ONE.findall(rule)) for rule in rules if rule.endswith("== 1") and _ONE.search(rule)]
    known = set(schema.get("properties", {}))
    return [group for group in (*pairs, *ones) if known.issuperset(group)]


def _map(parent: Json, name: str, schema: Json, choose: bool) -> Strategy:
    rules = [rule["rule"] for rule in parent.get("x-kubernetes-validations", ())]
    said = [found for rule in rules for found in _KEYS.findall(rule) if found[0] == name]
    wanted = [_plain(pattern) for _, negated, pattern in said if negated]
    avoided = [_plain(pattern) for _, negated, pattern in said if not negated]
    keys = _matching(wanted[0]) if wanted else st.sampled_from(["a", "b", "c"])
    free = keys.filter(lambda key: len(key) < 64 and not any(re.fullmatch(it, key) for it in avoided))
    least = schema.get("minProperties", 0)
    return st.dictionaries(
        free, values(schema["additionalProperties"], choose), min_size=least, max_size=least + 2
    )


def _lists(schema: Json, choose: bool) -> Strategy:
    least = schema.get("minItems", 0)
    keys = schema.get("x-kubernetes-list-map-keys")
    unique: Callable[[Any], Any] | None = None
    if keys:
        unique = lambda item: tuple(item.get(key) for key in keys)  # noqa: E731
    elif schema.get("x-kubernetes-list-type") == "set":
        unique = lambda item: item  # noqa: E731
    most = min(schema.get("maxItems", 3), least + 2)
    return st.lists(values(schema["items"], choose), min_size=least, max_size=most, unique_by=unique)


def _strings(schema: Json) -> Strategy:
    if schema.get("format") == "date-time":
        return st.sampled_from(MOMENTS)
    rules = [rule["rule"] for rule in schema.get("x-kubernetes-validations", ())]
    said = [found for rule in rules for found in _MATCHES.findall(rule)]
    wanted = [_plain(pattern) for negated, pattern in said if not negated]
    avoided = [_plain(pattern) for negated, pattern in said if negated]
    wanted += [schema["pattern"]] if "pattern" in schema else []
    least, most = schema.get("minLength", 0), schema.get("maxLength", 64)
    made = (
        _matching(wanted[0]) if wanted else st.text(LETTERS, min_size=least, max_size=min(most, least + 12))
    )
    return made.filter(
        lambda text: least <= len(text) <= most and not any(re.fullmatch(it, text) for it in avoided)
    )


def _integers(schema: Json) -> Strategy:
    low, high = schema.get("minimum", 0), schema.get("maximum", 2**31 - 1)
    common = [number for number in {low, *NUMBERS, high} if low <= number <= high]
    return st.one_of(st.sampled_from(sorted(common)), st.integers(low, min(high, low + 8)))


@functools.cache
def _matching(pattern: str) -> Strategy:
    """Strings that match as a whole, short ones mostly. Drawn once, since drawing by a pattern is slow."""
    return st.from_regex(pattern, fullmatch=True)


def _plain(pattern: str) -> str:
    """A CEL literal's pattern as Python has it."""
    return pattern.replace("\\'", "'").replace("\\\\", "\\")


def mended(kind: str, spec: Json, **more: Any) -> Json:
    """A spec without what breaks a rule between its fields."""
    spec = copy.deepcopy(spec)
    for _ in range(20):
        try:
            MODELS[kind].model_validate({"metadata": {"name": "chat"}, "spec": spec, **more})
        except ValidationError as error:
            for one in error.errors():
                _leave_out(spec, [part for part in one["loc"] if part != "spec"], schema_of(kind))
        else:
            return spec
    return spec


def _fit_to_each_other(spec: Json) -> None:
    """What the rules of a whole spec are about: as many accelerators as the split asks for, or no split."""
    split = spec.get("parallelism", {})
    wanted = math.prod(split.get(name, 1) for name in ("tensor", "pipeline", "data"))
    accelerator = spec.setdefault("hardware", {}).setdefault("accelerator", {"resource": "nvidia.com/gpu"})
    if split and wanted <= 16 and accelerator.get("count") != wanted:
        accelerator["count"] = wanted
        return
    for name in ("parallelism", "hardware", "service"):
        spec.pop(name, None)


def _leave_out(spec: Json, path: list[Any], schema: Json) -> None:
    """Takes away the optional fields of what is wrong, or itself where it has none."""
    if not path:
        _fit_to_each_other(spec)
        return
    holders: list[tuple[Any, Any]] = []
    value: Any = spec
    for step in path:
        if not isinstance(value, dict | list) or (isinstance(value, dict) and step not in value):
            return
        if isinstance(value, list) and step >= len(value):
            return
        holders.append((value, step))
        value = value[step]
    holder, last = holders[-1]
    if isinstance(value, dict) and len(value) > 1:
        value.pop(sorted(value)[-1])
        return
    if isinstance(holder, list):
        holder.pop(last)
    else:
        del holder[last]
