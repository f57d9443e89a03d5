"""What holds of every choice, whatever engines, prompts and loads there are."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from pointsman_router.engines.endpoints import Endpoint
from pointsman_router.engines.engine import Engine
from pointsman_router.picking.affinity import Memory, Placement, choose, highest, load, load_bound
from pointsman_router.picking.prompts import Said
from pointsman_router.picking.wishes import Wish
from pointsman_router.settings import Picking

NOW = 1000.0
NAMES = [f"engine-{n}" for n in range(12)]
names = st.lists(st.sampled_from(NAMES), min_size=2, max_size=12, unique=True)
keys = st.integers(1, 2**64 - 1)


def first(place: Placement, key: int) -> str:
    """The engine that comes first for a key."""
    engine = highest(place.ready, key, (), NOW)
    assert engine is not None
    return engine.name


def _placement(names: list[str], percent: int = 150, memory: Memory | None = None) -> Placement:
    engines = [Engine(Endpoint("10.0.0.1", name, True), 80, 0) for name in names]
    for engine in engines:
        engine.turn(True, NOW, 0.0)
    return Placement.of("chat/v", engines, memory or Memory(), Picking(load_percent=percent))


def _chain(blocks: list[int]) -> list[int]:
    chain, seed = [], 0
    for block in blocks:
        seed = xxh3_64_intdigest(bytes([block]), seed)
        chain.append(seed)
    return chain


prompts = st.lists(st.integers(0, 2), min_size=1, max_size=12).map(_chain)
"""Of few different blocks, so that many share their beginnings."""


words = st.sampled_from(
    ["messages", "prompt", "input", "system", "tools", "instructions", "role", "content", "text", "type"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(words, inner),
    max_leaves=30,
)


@given(st.dictionaries(words, anything), st.integers(1, 200))
def test_any_document_has_a_beginning_within_bounds(document: dict[str, object], limit: int) -> None:
    begun = Said(document).beginning(limit)
    assert len(begun) <= limit
    assert begun == Said(document).beginning(limit)


@given(names, keys, st.sampled_from(NAMES))
def test_an_engine_that_comes_takes_only_what_is_its_own(names: list[str], key: int, new: str) -> None:
    before = [one for one in names if one != new]
    if not before:
        return
    was = first(_placement(before), key)
    now = first(_placement([*before, new]), key)
    assert now in (was, new)


@given(names, keys, st.data())
def test_an_engine_that_goes_moves_only_what_it_had(names: list[str], key: int, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(names))
    was = first(_placement(names), key)
    now = first(_placement([one for one in names if one != gone]), key)
    assert (now == was) is (was != gone)


@given(names, prompts, st.data())
def test_routers_agree_at_first_sight(names: list[str], chain: list[int], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(names))
    one = choose(_placement(names), Wish(chain), (), NOW)
    other = choose(_placement(shuffled), Wish(chain), (), NOW)
    assert one is not None
    assert other is not None
    assert one.name == other.name


@given(names, st.lists(prompts, min_size=1, max_size=30))
def test_the_same_prompt_goes_to_the_same_engine(names: list[str], asked: list[list[int]]) -> None:
    place = _placement(names)
    for chain in asked:
        assert choose(place, Wish(chain), (), NOW) is choose(place, Wish(chain), (), NOW)


@given(
    names,
    st.lists(st.tuples(prompts, st.booleans()), min_size=1, max_size=60),
    st.integers(100, 400),
    st.integers(0, 2),
)
@settings(max_examples=200)
def test_the_bound_on_load_holds(
    names: list[str], asked: list[tuple[list[int], bool]], percent: int, warming: int
) -> None:
    place = _placement(names, percent)
    for new in place.ready[:warming]:
        new.full_at = NOW + 5
    for chain, ends in asked:
        bound = load_bound(place.ready, percent)
        engine = choose(place, Wish(chain), (), NOW)
        assert engine is not None
        # Engines that warm up count for more than they have, so that all may be beyond the bound.
        assert load(engine, NOW) <= (
            max(bound, min(load(one, NOW) for one in place.ready)) if warming else bound
        )
        engine.in_flight += 1
        if ends:
            max(place.ready, key=lambda one: one.in_flight).in_flight -= 1


@given(
    names,
    st.lists(prompts, min_size=1, max_size=20),
    st.lists(st.sampled_from(["ready", "gone", "aside", "full", "tried"]), min_size=12, max_size=12),
    st.sampled_from(["prompt", "session", "adapter"]),
)
def test_only_what_may_be_taken_is_taken_while_anything_may(
    names: list[str], asked: list[list[int]], conditions: list[str], kind: str
) -> None:
    place = _placement(names)
    for chain in asked:
        choose(place, Wish(chain), (), NOW)
    for one, condition in zip(place.ready, conditions, strict=False):
        one.ready = condition != "gone"
        one.aside_until = NOW + 1 if condition == "aside" else 0.0
        one.in_flight = one.max_requests if condition == "full" else 0
    state = dict(zip(place.ready, conditions, strict=False))
    tried = [engine for engine, condition in state.items() if condition == "tried"]
    for chain in asked:
        wish = Wish(chain, chain[0] if kind == "session" else 0, chain[0] if kind == "adapter" else 0)
        engine = choose(place, wish, tried, NOW)
        if "ready" in state.values():
            assert engine is not None
            assert state[engine] == "ready"
        else:
            assert engine is None


@given(names, st.lists(prompts, max_size=80), st.integers(24, 60))
def test_memory_is_bounded(names: list[str], asked: list[list[int]], capacity: int) -> None:
    memory = Memory(capacity)
    place = _placement(names, memory=memory)
    for chain in asked:
        choose(place, Wish(chain), (), NOW)
        assert len(memory) <= capacity
