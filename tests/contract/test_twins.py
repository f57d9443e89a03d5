"""The schema and the models say the same: what one accepts, the other does too.

Rules are single objects with two faces (`api/schema.py`), so a twin can't be missing; here the faces are
compared, over the table of refusals and over specs that hypothesis changes in a few places.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pointsman.api import (
    checks,
    clients,
    common,
    engine,
    experiment,
    experiment_status,
    hardware,
    model,
    model_facts,
    prompt,
    prompt_suite,
    proof,
    rollout,
    router,
    routing,
    service,
    service_status,
)
from pointsman.api.common import Base
from pointsman.api.kinds import KINDS, KindRow
from pointsman.api.schema import VALIDATIONS, Rule
from pointsman.crdgen.crd import schema_of
from tests.contract.manifests import FULL, Json, manifest
from tests.contract.server import Server
from tests.contract.test_refusals import CASES

MODULES = (
    checks,
    rollout,
    prompt,
    prompt_suite,
    proof,
    clients,
    common,
    engine,
    experiment,
    experiment_status,
    hardware,
    model,
    model_facts,
    router,
    routing,
    service,
    service_status,
)
TYPES = [
    it
    for module in MODULES
    for it in vars(module).values()
    if isinstance(it, type) and issubclass(it, Base) and it.__module__ == module.__name__
]
MODELS = {row.resource: row.model for row in KINDS}


@pytest.mark.parametrize("type_", TYPES, ids=lambda it: it.__name__)
def test_no_type_has_a_validator_without_a_twin(type_: type[BaseModel]) -> None:
    decorators = type_.__pydantic_decorators__
    own = type_ is Base
    assert list(decorators.model_validators) == ["_obey_rules"]
    assert not decorators.field_validators
    assert not decorators.root_validators
    assert own or "_obey_rules" not in vars(type_)


def _rules() -> Iterator[tuple[type[Base], Rule]]:
    for type_ in TYPES:
        for rule in type_.rules:
            yield type_, rule


def _schemas(schema: Json) -> Iterator[Json]:
    yield schema
    for child in (
        *schema.get("properties", {}).values(),
        schema.get("items"),
        schema.get("additionalProperties"),
    ):
        if child:
            yield from _schemas(child)


def test_every_rule_stands_in_a_schema() -> None:
    said = {
        it["rule"] for row in KINDS for node in _schemas(schema_of(row)) for it in node.get(VALIDATIONS, ())
    }
    assert [rule.cel for _, rule in _rules() if rule.cel not in said] == []


def test_every_rule_has_a_refusal_in_the_table() -> None:
    broken: set[str] = set()
    for case in CASES.values():
        try:
            MODELS[case.resource].model_validate(case.manifest())
        except ValidationError as error:
            broken |= {
                part for it in error.errors() for part in it["msg"].removeprefix("Value error, ").split("; ")
            }
    said = " ".join(broken)
    untried = [
        rule.message
        for _, rule in _rules()
        if not rule.key and "oldSelf" not in rule.cel and rule.message.split("; ")[0] not in said
    ]
    assert untried == []


WORDS = [
    "", "a", "A", "a b", "a\n", "-a", "a-", "a.b", "a_b", "a/b", "ä", "1", "0.5", "1Gi", "1e3", "1e400",
    "-1", "1.", ".5", "nvidia.com/gpu", "hf://a/b", "hf://a", "hf://a/b/c", "pvc://a", "pvc://A/b",
    "pvc://a//b", "file:///a", "file://a", "file:///a/../b", "file:///..a", "10.0.0.0/8", "10.0.0.1/8",
    "10.0.0.0/33", "10.0.0.0/08", "::/0", "fe80::1%a/64", "1.2.3.4", "::ffff:1.2.3.4/100",
    "2026-11-22T17:30:00Z", "2026-11-22", "0.32.0", "v1", "x" * 41, "x" * 64, "x" * 600, "vLLM", "Surge",
    "Exists", "Equal", "NoExecute", "LoadBalancer", "auto", "True", "*", "https://a.b", "https://a.b/",
    "https://a.b:80", "https://A.b", "https://a b", "https://", "http://[::1]:3", "null", "X-Session",
    "AUTHORIZATION", "x-forwarded-for", "xx-forwarded-for", "Proxy-X", "Tenant", "te", "tea", "LeastLoaded",
]  # fmt: skip
KEYS = [
    "a", "A", "", "a b", "-a", "a/b", "/a", "a/", "A/b", "pointsman.dev/x", "x.pointsman.dev/y",
    "pointsmanxdev/y", "kubernetes.io/x", "pod-template-hash", "cpu", "memory", "gpu", "max-num-seqs",
    "max_num_seqs", "dtype", "dt", "dtypes", "config-format", "config-formats", "ssl-x", "no-x", "--a",
    "LD_X", "XLD_X", "HF_TOKEN", "HOME", "HOMER", "1A", "x" * 64,
]  # fmt: skip
NUMBERS = [0, 1, 2, 4, 64, 65, 100, 101, 1001, 3600, 86_400, 86_401, -1, 2**31, 2**36, 2**36 + 1]
ANYTHING = st.one_of(
    st.sampled_from([*WORDS, *NUMBERS, True, False]),
    st.lists(st.sampled_from([*WORDS, *NUMBERS]), max_size=3),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["a", "1", "", 1]), max_size=3),
)
REMOVED = object()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield from _places(child, (*path, key))


def _get(spec: Json, path: tuple[Any, ...]) -> object:
    place: Any = spec
    for step in path:
        place = place[step]
    return place


def _put(spec: Json, path: tuple[Any, ...], value: object) -> None:
    place: Any = spec
    *parents, last = path
    try:
        for step in parents:
            place = place[step]
        if value is REMOVED:
            del place[last]
        else:
            place[last] = value
    except (KeyError, IndexError, TypeError):
        return  # an earlier change took the place away


def _alike(value: object) -> st.SearchStrategy[object]:
    """Values of the same type, so that not everything is refused for its type alone."""
    match value:
        case bool():
            return st.booleans()
        case int():
            return st.sampled_from(NUMBERS)
        case str():
            return st.sampled_from(WORDS)
        case _:
            return st.just(REMOVED)


@st.composite
def specs(draw: st.DrawFn, full: Json) -> Json:
    """A full spec, changed in up to three places."""
    spec = copy.deepcopy(full)
    places = list(_places(full))
    for path in draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        _put(spec, path, draw(st.one_of(_alike(_get(full, path)), st.just(REMOVED), ANYTHING)))
    return spec


def _refusal(row: KindRow, wire: Json) -> str:
    """What the model says against an object; empty: nothing."""
    try:
        row.model.model_validate(wire)
    except ValidationError as error:
        return str(error)
    return ""


@pytest.mark.apiserver
@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", KINDS, ids=lambda row: row.resource.kind)
def test_the_server_and_the_model_accept_the_same(server: Server, row: KindRow) -> None:
    seen = {True: 0, False: 0}

    @settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    @given(spec=specs(FULL[row.resource]))
    def compare(spec: Json) -> None:
        wire = manifest(row.resource, spec)
        answer = server.create(row.resource, wire, dry=True, strict=False)
        by_server, by_model = "" if answer.accepted else answer.message, _refusal(row, wire)
        assert bool(by_server) == bool(by_model), (
            f"server: {by_server or 'fine'}; model: {by_model or 'fine'}"
        )
        seen[answer.accepted] += 1

    compare()
    assert min(seen.values()) > 20, f"too one-sided to mean anything: {seen}"
