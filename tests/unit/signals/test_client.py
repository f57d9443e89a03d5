"""Reading routers: what answers is a value, and so is what doesn't."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from e2e.cluster.certificates import Leaf, make_all
from pointsman.core.observed import parse_models, parse_probe, parse_signals
from pointsman.signals.client import HttpSignals
from pointsman.signals.twin import ScriptedSignals
from tests.unit.kube.server import Scripted, serving

DOCUMENT = {
    "config": "abc",
    "configError": "",
    "understands": ["startSeconds", 7],
    "tlsError": "no such file",
    "services": {
        "chat": {
            "hash": "def",
            "variants": {
                "chat-1": {
                    "endpoints": 2,
                    "ready": 1,
                    "inFlight": 3,
                    "requests": 10,
                    "errors": 1,
                    "engines": [
                        {
                            "pod": "chat-1-x",
                            "address": "10.0.0.1:8000",
                            "ready": False,
                            "phase": "Loading",
                            "bytesLoaded": 5,
                            "bytesTotal": 10,
                            "timings": {"preflight": 0.5},
                            "reason": "",
                            "message": "",
                        }
                    ],
                }
            },
        }
    },
}


async def test_signals_of_two_routers_one_of_them_gone() -> None:
    signals = HttpSignals(read_seconds=1.0)
    async with serving(Scripted([(200, DOCUMENT, {})])) as url:
        address = url.removeprefix("http://")
        here, gone = [parse_signals(raw) for raw in await signals.read([address, "127.0.0.1:1"])]
    await signals.close()
    assert (here.address, here.reachable, here.config) == (address, True, "abc")
    assert (here.config_error, here.tls_error) == ("", "no such file")
    assert here.understands == ("startSeconds",)
    variant = here.services["chat"].variants["chat-1"]
    assert (variant.endpoints, variant.ready, variant.in_flight) == (2, 1, 3)
    assert (variant.engines[0].phase, variant.engines[0].bytes_loaded) == ("Loading", 5)
    assert variant.engines[0].timings == {"preflight": 0.5}
    assert (gone.address, gone.reachable, gone.services) == ("127.0.0.1:1", False, {})


async def test_a_probe_is_an_answer_also_when_it_fails() -> None:
    signals = HttpSignals()
    refusal = {"ok": False, "reason": "NoReadyEndpoint", "generation": 3, "hash": "def"}
    scripted = Scripted([(503, refusal, {})])
    async with serving(scripted) as url:
        result = parse_probe(await signals.probe(url.removeprefix("http://"), "chat", "chat-1"))
    await signals.close()
    assert (result.reachable, result.ok, result.reason, result.generation) == (
        True,
        False,
        "NoReadyEndpoint",
        3,
    )
    assert (scripted.seen[0].method, scripted.seen[0].path) == ("POST", "/probe/chat")
    assert scripted.seen[0].query == {"variant": "chat-1"}


async def test_the_way_in_lists_models() -> None:
    signals = HttpSignals()
    async with serving(Scripted([(200, {"data": [{"id": "chat"}, {"id": "support"}]}, {})])) as url:
        assert parse_models(await signals.models(url.removeprefix("http://"))) == frozenset(
            {"chat", "support"}
        )
    assert parse_models(await signals.models("127.0.0.1:1")) is None
    await signals.close()


async def test_the_way_in_by_tls_is_proven_whatever_the_certificate_says(tmp_path: Path) -> None:
    make_all(tmp_path, [Leaf("server", "elsewhere.example.com", names=("elsewhere.example.com",))])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    signals = HttpSignals()
    async with serving(Scripted([(200, {"data": [{"id": "chat"}]}, {})]), context) as url:
        address = url.removeprefix("https://")
        assert parse_models(await signals.models(address, tls=True)) == frozenset({"chat"})
        assert parse_models(await signals.models(address)) is None, "plain text isn't the way in"
    async with serving(Scripted([(200, {"data": []}, {})])) as url:
        assert parse_models(await signals.models(url.removeprefix("http://"), tls=True)) is None
    await signals.close()


async def test_a_router_that_hangs_is_unreachable() -> None:
    signals = HttpSignals(read_seconds=0.05)
    async with serving(Scripted([(200, {}, {})], delay=0.5)) as url:
        (raw,) = await signals.read([url.removeprefix("http://")])
    await signals.close()
    assert not raw["reachable"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"services": []}, id="a list for a map"),
        pytest.param({"services": {"chat": None}}, id="null for a service"),
        pytest.param(
            {"services": {"chat": {"variants": {"v": {"endpoints": "2", "engines": [1, None]}}}}}, id="types"
        ),
        pytest.param({"config": 7, "services": {"chat": {"hash": [], "variants": 3}}}, id="more types"),
    ],
)
def test_a_router_gone_mad_is_read_too(body: dict[str, object]) -> None:
    parsed = parse_signals({"address": "a", "reachable": True, "body": body})
    assert parsed.reachable
    for service in parsed.services.values():
        for variant in service.variants.values():
            assert (variant.endpoints, variant.engines) == (0, ())


async def test_the_twin_answers_what_is_scripted_and_nothing_else() -> None:
    twin = ScriptedSignals()
    twin.signals["a"] = DOCUMENT
    twin.probes["a", "chat"] = {"ok": True, "variant": "chat-1"}
    twin.listed["svc"] = ["chat"]
    assert [raw["reachable"] for raw in await twin.read(["a", "b"])] == [True, False]
    assert parse_probe(await twin.probe("a", "chat")).variant == "chat-1"
    assert not parse_probe(await twin.probe("a", "other")).ok
    assert parse_models(await twin.models("svc")) == frozenset({"chat"})
    assert parse_models(await twin.models("svc", tls=True)) is None
    assert ("probe", "a", "other", "") in twin.asked
