"""Whatever a file says, it is taken or refused with a reason: nothing else can come of it."""

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman_router.config import ConfigError, parse_as
from pointsman_router.feeds import standalone
from pointsman_router.feeds.standalone import FileConfig
from pointsman_router.records.metrics import Stats
from pointsman_router.state import State
from tests.router.alone.test_example import EXAMPLE

DOCUMENT = yaml.safe_load(EXAMPLE.read_text())
STRINGS = (
    "",
    "*",
    "a:" + "9" * 5000,
    "[::1]:80",
    ":1",
    "a:٣",
    "::/0",
    "0" * 64,
    "x\r\ny: z",
    "é" * 300,
)
ODD: tuple[Any, ...] = (
    *STRINGS,
    None,
    True,
    -1,
    2**63,
    10**400,
    0.5,
    float("nan"),
    float("inf"),
    b"x",
    [],
    {},
    [[]],
    {"a": 1},
)
VALUES = st.recursive(
    st.one_of(st.sampled_from(ODD), st.integers(), st.floats(), st.text(max_size=20), st.dates()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a document something stands."""
    found = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        found += places(item, (*path, key))
    return found


PLACES = places(DOCUMENT)


def test_each_odd_value_in_each_place_is_taken_or_refused() -> None:
    for path in PLACES:
        for value in ODD:
            document = copy.deepcopy(DOCUMENT)
            replace(document, path, value)
            take(document)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=2, max_size=4))
def test_odd_values_in_several_places_are_taken_or_refused(
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        replace(document, path, value)
    take(document)


def take(document: Any) -> None:
    """Anything but a refusal is a configuration that can be run."""
    try:
        config = parse_as(FileConfig, document)
    except ConfigError:
        return
    state = State(Stats())
    state.run(config)
    state.replace_slices({})
    state.close()


def replace(document: Any, path: tuple[Any, ...], value: Any) -> None:
    *way, last = path
    for key in way:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return  # an earlier change took it away
    try:
        document[last] = value
    except (IndexError, TypeError):
        return


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=60), st.text(alphabet="name: x\n-[]{}&*!|>'\"%@\t#,?0", max_size=40)))
def test_any_bytes_are_refused_in_one_line(file: Path, content: bytes | str) -> None:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = ""
    try:
        standalone.read(file)
    except ConfigError as refused:
        message = str(refused)
    assert "\n" not in message
