"""Which engines there are, which of them may take requests, and which one gets the next."""

from collections import Counter
from typing import Any

import pytest

from pointsman_router import config as contract
from pointsman_router.answering.pick import has_another, pick
from pointsman_router.engines.endpoints import Endpoint, Slice, by_service, read_slice
from pointsman_router.engines.engine import Engine
from pointsman_router.engines.upstream import Connection
from pointsman_router.picking.prompts import Said
from pointsman_router.records.metrics import Stats
from pointsman_router.state import State
from pointsman_router.table import ServiceState
from tests.router.stack import configuration, service


@pytest.mark.parametrize(
    ("conditions", "ready", "leaving"),
    [
        ({}, True, False),
        (None, True, False),
        ({"ready": True}, True, False),
        ({"ready": None}, True, False),
        ({"ready": False}, False, False),
        ({"ready": True, "serving": True, "terminating": False}, True, False),
        ({"ready": False, "serving": True, "terminating": True}, False, True),
        ({"ready": True, "serving": True, "terminating": True}, False, True),
        ({"ready": True, "serving": False}, False, False),
    ],
    ids=str,
)
def test_only_an_endpoint_that_is_ready_and_stays_takes_requests(
    conditions: Any, ready: bool, leaving: bool
) -> None:
    manifest = {
        "metadata": {"name": "x", "labels": {"kubernetes.io/service-name": "s"}},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": conditions, "targetRef": {"name": "p"}}],
    }
    assert read_slice(manifest) == Slice("s", (Endpoint("10.0.0.1", "p", ready, leaving),))


@pytest.mark.parametrize(
    "manifest",
    [
        {"metadata": {"name": "x"}},
        {"metadata": {"name": "x", "labels": None}, "endpoints": None},
        {"metadata": {"name": "x"}, "endpoints": [{"addresses": []}, {}]},
    ],
)
def test_a_slice_without_endpoints_is_none(manifest: dict[str, Any]) -> None:
    assert read_slice(manifest).endpoints == ()


def test_an_endpoint_that_moves_between_slices_is_there_once() -> None:
    a, b = Endpoint("10.0.0.1", "p", True), Endpoint("10.0.0.2", "q", True)
    leaving = Endpoint("10.0.0.1", "p", False)
    assert by_service([Slice("s", (a, b)), Slice("s", (leaving,)), Slice("t", (b,))]) == {
        "s": (leaving, b),
        "t": (b,),
    }


def _told(state: State, *endpoints: tuple[bool, bool, str]) -> set[str]:
    """What's picked once the engines are (ready, leaving) and say that phase of themselves."""
    engines = [engine for variant in _chat(state).variants for engine in variant.engines]
    for engine, (_, _, phase) in zip(engines, endpoints, strict=True):
        engine.phase.phase = phase
    told = [
        Endpoint(engine.pool.host, engine.pod, ready, leaving)
        for engine, (ready, leaving, _) in zip(engines, endpoints, strict=True)
    ]
    state.replace_slices({"all": Slice("chat", tuple(told))})
    return set(_picked(state, 50))


@pytest.mark.parametrize(
    ("endpoints", "picked"),
    [
        pytest.param([(False, False, "Ready")] * 2, {"v0-0", "v0-1"}, id="a node that is out of touch"),
        pytest.param([(True, False, "Ready"), (False, False, "Ready")], {"v0-0"}, id="one is ready"),
        pytest.param([(False, True, "Ready")] * 2, {""}, id="both leave"),
        pytest.param([(False, False, "Loading"), (False, False, "")], {""}, id="both are loading"),
        pytest.param([(False, True, "Ready"), (False, False, "Ready")], {"v0-1"}, id="one leaves"),
    ],
)
def test_where_none_is_ready_those_that_stay_are_taken_at_their_word(
    endpoints: list[tuple[bool, bool, str]], picked: set[str]
) -> None:
    assert _told(_state(100), *endpoints) == picked


def test_an_engine_taken_at_its_word_goes_when_it_says_otherwise_or_another_is_ready() -> None:
    state = _state(100)
    assert _told(state, *[(False, False, "Ready")] * 2) == {"v0-0", "v0-1"}
    _engine(state, "v0-0").phase.phase = "Draining"
    state.reconsider()
    assert set(_picked(state, 50)) == {"v0-1"}
    assert _told(state, (True, False, "Ready"), (False, False, "Ready")) == {"v0-0"}


def _state(*weights: int, engines: int = 2, ready: bool = True) -> State:
    """A service `chat` with one variant a weight, `engines` each."""
    document = service("chat")
    document["variants"] = [
        {"name": f"v{n}", "weight": weight, "upstream": {"service": "chat", "podPrefix": f"v{n}-"}}
        for n, weight in enumerate(weights)
    ]
    state = State(Stats())
    assert state.apply_config(configuration(document)), state.error
    endpoints = [
        Endpoint(f"10.0.{n}.{m}", f"v{n}-{m}", ready) for n in range(len(weights)) for m in range(engines)
    ]
    state.replace_slices({"all": Slice("chat", tuple(endpoints))})
    return state


def _chat(state: State) -> ServiceState:
    return state.table.services["chat"]


def _engine(state: State, name: str) -> Engine:
    return next(e for v in _chat(state).variants for e in v.engines if e.name == name)


class _Draws:
    """Numbers spread evenly over [0, 1), in an order without pattern."""

    def __init__(self) -> None:
        self.last = 0.5

    def __call__(self) -> float:
        self.last = (self.last + 0.6180339887498949) % 1
        return self.last


def _picked(state: State, times: int = 1000, **options: Any) -> Counter[str]:
    draws = _Draws()
    found: Counter[str] = Counter()
    for _ in range(times):
        service = _chat(state)
        draw = 0.0 if service.assigner is None else service.assigner.draw(0, Said({}))
        chosen = pick(service, options.get("tried", ()), 0.0, draws, options.get("only", ""), None, draw)
        found[chosen[1].name if chosen and chosen[1] else ""] += 1
    return found


def test_variants_get_their_share() -> None:
    found = _picked(_state(90, 10, 0))
    assert found["v0-0"] + found["v0-1"] == 900
    assert found["v2-0"] + found["v2-1"] == 0


def test_engines_of_a_variant_get_equal_shares() -> None:
    found = _picked(_state(100, engines=5), 2000)
    assert len(found) == 5
    assert min(found.values()) > 250


def test_the_busier_of_two_is_passed_over() -> None:
    state = _state(100)
    _engine(state, "v0-0").in_flight = 5
    assert _picked(state) == {"v0-1": 1000}


def test_a_busy_engine_among_many_gets_little() -> None:
    state = _state(100, engines=10)
    _engine(state, "v0-3").in_flight = 50
    assert _picked(state)["v0-3"] == 0


@pytest.mark.parametrize(
    ("weights", "gone", "expected"),
    [
        ((90, 10), ["v0-0", "v0-1"], {"v1-0", "v1-1"}),
        ((90, 10, 0), ["v0-0", "v0-1"], {"v1-0", "v1-1"}),
        ((100, 0), ["v0-0", "v0-1"], {""}),
        ((0, 0), [], {""}),
        ((50, 50), ["v0-0"], {"v0-1", "v1-0", "v1-1"}),
        ((100,), ["v0-0", "v0-1"], {""}),
    ],
)
def test_a_variant_without_ready_engines_leaves_its_share_to_others(
    weights: tuple[int, ...], gone: list[str], expected: set[str]
) -> None:
    state = _state(*weights)
    ready = [e for v in _chat(state).variants for e in v.engines]
    slices = [Endpoint(e.pool.host, e.pod, e.name not in gone) for e in ready]
    state.replace_slices({"all": Slice("chat", tuple(slices))})
    assert set(_picked(state)) == expected


def test_an_engine_set_aside_is_taken_only_where_there_is_no_other() -> None:
    state = _state(100, 0)
    _engine(state, "v0-0").aside_until = 1.0
    assert set(_picked(state)) == {"v0-1"}
    _engine(state, "v0-1").aside_until = 1.0
    assert set(_picked(state)) == {"v0-0", "v0-1"}, "and never a variant without weight"


def test_what_was_tried_is_tried_again_only_where_there_is_nothing_else() -> None:
    state = _state(100, 0)
    first, second = _engine(state, "v0-0"), _engine(state, "v0-1")
    assert set(_picked(state, tried=(first,))) == {"v0-1"}
    assert set(_picked(state, tried=(first, second))) == {"v0-0", "v0-1"}


def test_a_named_variant_is_stayed_in_whatever_its_weight() -> None:
    assert set(_picked(_state(100, 0), only="v1")) == {"v1-0", "v1-1"}
    assert set(_picked(_state(100, 0), only="v7")) == {""}


def test_another_engine_is_one_with_weight_that_was_not_tried() -> None:
    state = _state(100, 0, engines=1)
    first = _engine(state, "v0-0")
    assert has_another(_chat(state), ())
    assert not has_another(_chat(state), (first,))
    assert not has_another(_chat(state), (_engine(state, "v1-0"),), only="v1")


def test_engines_keep_their_connections_and_counts_over_changes() -> None:
    state = _state(100)
    engine = _engine(state, "v0-0")
    engine.in_flight = 3
    _chat(state).variants[0].stats.codes[200] = 7
    assert state.apply_config(configuration(_with_generation(2)))
    state.put_slice("more", Slice("chat", (Endpoint("10.0.0.9", "v0-9", True),)))
    assert _engine(state, "v0-0") is engine
    assert _chat(state).variants[0].stats.codes == {200: 7}
    assert [e.name for e in _chat(state).variants[0].ready] == ["v0-0", "v0-1", "v0-9"]


def _with_generation(generation: int) -> dict[str, Any]:
    document = service("chat", generation=generation)
    document["variants"] = [{"name": "v0", "upstream": {"service": "chat", "podPrefix": "v0-"}}]
    return document


def test_an_engine_that_is_gone_is_closed_and_an_address_reused_is_another_engine() -> None:
    state = _state(100)
    engine = _engine(state, "v0-0")
    state.replace_slices({"all": Slice("chat", (Endpoint(engine.pool.host, "v0-new", True),))})
    assert engine.pool.closed
    assert _engine(state, "v0-new") is not engine


def test_an_engine_that_is_no_longer_ready_keeps_no_idle_connections() -> None:
    state = _state(100)
    engine = _engine(state, "v0-0")
    idle = Connection(engine.pool)
    engine.pool.put(idle)
    leaving = [Endpoint(e.pool.host, e.pod, e is not engine) for e in _chat(state).variants[0].engines]
    state.replace_slices({"all": Slice("chat", tuple(leaving))})
    assert _engine(state, "v0-0") is engine
    assert engine.pool.idle == []


def test_configuration_and_endpoints_come_in_any_order() -> None:
    state = State(Stats())
    state.replace_slices({"all": Slice("chat", (Endpoint("10.0.0.1", "v0-1", True),))})
    assert state.table.services == {}
    assert state.apply_config(configuration(_with_generation(1)))
    assert [e.address for e in _chat(state).variants[0].ready] == ["10.0.0.1:8000"]


def test_counts_of_variants_that_left_are_forgotten_once_nothing_is_in_flight() -> None:
    state = _state(50, 50)
    stats = _chat(state).variants[1].stats
    stats.in_flight = 1
    assert state.apply_config(configuration(_with_generation(2)))
    assert ("chat", "v1") in state._stats.variants
    stats.in_flight = 0
    assert state.apply_config(configuration(_with_generation(3)))
    assert ("chat", "v1") not in state._stats.variants


@pytest.mark.parametrize(("address", "shown"), [("10.0.0.1", "10.0.0.1:8000"), ("fd00::1", "[fd00::1]:8000")])
def test_addresses_are_written_as_hosts(address: str, shown: str) -> None:
    engine = Engine(Endpoint(address, "p", True), 8000, 8001)
    assert engine.address == shown
    assert engine.host_line.endswith(f"host: {shown}\r\n".encode())


def test_a_services_hash_is_its_own_and_the_whole_has_another() -> None:
    one, two = contract.parse(configuration(service("a"), service("b"))), None
    two = contract.parse(configuration(service("a"), service("b", generation=2)))
    assert contract.service_hash(one.services[0]) == contract.service_hash(two.services[0])
    assert contract.service_hash(one.services[1]) != contract.service_hash(two.services[1])
    assert contract.config_hash(one) != contract.config_hash(two)


def test_a_document_survives_being_written_and_read() -> None:
    document = configuration(_with_generation(4), maxBodyBytes=5, connectSeconds=1)
    config = contract.parse(document)
    assert contract.parse(contract.dump(config)) == config


def _broken(**fields: Any) -> dict[str, Any]:
    return configuration({**_with_generation(1), **fields})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "document: expected a mapping"),
        ({"services": []}, "name: missing"),
        ({"name": 1}, "name: expected str, got int"),
        (configuration(service("a"), service("a", names=["b"])), "services[1].name: 'a' is there twice"),
        (configuration(service("a"), service("b", names=["a"])), "'a' is already served by 'a'"),
        (_broken(generation=True), "services[0].generation: expected int, got bool"),
        (_broken(modelNames="chat"), "services[0].modelNames: expected a list"),
        (_broken(colour="red"), "services[0].colour: unknown field; known are adapters, analysis"),
        (_broken(variants=[{"name": "v", "upstream": {}, "weight": 50}]), "weights sum to 50"),
        (
            _broken(variants=[{"name": n, "upstream": {}, "weight": w} for n, w in (("a", 150), ("b", -50))]),
            "services[0].variants[0].weight: 150 is out of bounds",
        ),
        (_broken(variants=[{"name": "v", "upstream": {"port": 0}}]), "0 is no port"),
        (_broken(variants=[{"name": "v", "upstream": {"addresses": ["a"]}}]), "'a' is not host:port"),
        (configuration(headSeconds=-1), "limits.headSeconds: -1.0 is out of bounds; it must be 0.05 to 3600"),
        (configuration(headSeconds=float("nan")), "limits.headSeconds: nan is out of bounds"),
        (
            configuration(service("a"), idleStreamSeconds=-1),
            "services[0].routing.timeouts.idleStreamSeconds: -1.0 is out of bounds",
        ),
        (
            _broken(routing={"picking": {"policy": "Best"}}),
            "services[0].routing.picking.policy: 'Best' is not known; known are PrefixAffinity",
        ),
        ({"name": "a", "keys": [{"name": "k", "sha256": "x"}]}, "keys[0].sha256: must be 64 lower-case hex"),
        ({"name": "a", "trustedProxies": ["10.0.0.1/8"]}, "trustedProxies[0]: not a range of addresses"),
        ({"name": "a", "tls": {"certFile": "x"}}, "tls: give certFile and keyFile, or neither"),
        ({"name": "a", "cors": {"allowedOrigins": ["app.example"]}}, "'app.example' is not `*` or an origin"),
        ({"name": "a", "cors": {"allowedHeaders": ["a\r\nb: c"]}}, "allowedHeaders[0]: 'a\\r\\nb: c' is not"),
        (
            {"name": "a", "cors": {"allowedOrigins": ["*"], "allowCredentials": True}},
            "cors.allowCredentials: not together with the origin `*`",
        ),
    ],
)
def test_a_wrong_document_names_the_field(document: Any, message: str) -> None:
    with pytest.raises(contract.ConfigError) as refused:
        contract.parse(document)
    assert message in str(refused.value)
