"""Following an API server: what the router runs by after lists, events, outages and lost history."""

import asyncio
import base64
import datetime
import gzip
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pointsman_router import config as contract
from pointsman_router.feeds.cluster import Api, Follower, Pace, followers, unpack
from pointsman_router.fetch import Target
from pointsman_router.records.accesslog import AccessLog
from pointsman_router.router import Router
from tests.router.apiserver import FakeApiServer
from tests.router.stack import configuration, eventually, service

MAPS = "/api/v1/namespaces/team-a/configmaps"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/team-a/endpointslices"
QUICK = Pace(list=1.0, watch=(1, 1), grace=0.3, short=0.1, backoff=(0.02, 0.1))


def config_map(document: Any, packed: bytes | None = None) -> dict[str, Any]:
    data = packed if packed is not None else gzip.compress(json.dumps(document).encode())
    return {
        "metadata": {"name": "default-router"},
        "binaryData": {"config.json.gz": base64.b64encode(data).decode()},
    }


def watched_service(name: str = "chat", generation: int = 1) -> dict[str, Any]:
    document = service(name, generation=generation)
    document["variants"] = [
        {"name": "r1", "weight": 100, "upstream": {"service": "chat-engines", "podPrefix": "chat-r1-"}},
        {"name": "r2", "weight": 0, "upstream": {"service": "chat-engines", "podPrefix": "chat-r2-"}},
    ]
    return document


def slice_of(name: str, *endpoints: dict[str, Any], service: str = "chat-engines") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "endpoints": list(endpoints),
    }


def endpoint(pod: str, address: str, **conditions: bool) -> dict[str, Any]:
    return {
        "addresses": [address],
        "conditions": conditions,
        "targetRef": {"kind": "Pod", "name": pod},
    }


@dataclass
class Followed:
    """A router that follows an API server."""

    router: Router
    followers: dict[str, Follower]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def ready(self) -> dict[str, list[str]]:
        services = self.router.state.table.services
        return {v.name: [e.name for e in v.ready] for v in services["chat"].variants} if services else {}


@asynccontextmanager
async def following(server: FakeApiServer, api: Api | None = None) -> AsyncIterator[Followed]:
    router = Router(AccessLog(None))
    target = api or Api(Target("127.0.0.1", server.port))
    followed = Followed(router, followers(target, "team-a", "default-router", router.state, QUICK))
    followed.tasks = [asyncio.ensure_future(follower.run()) for follower in followed.followers.values()]
    try:
        yield followed
    finally:
        for task in followed.tasks:
            task.cancel()
        await asyncio.gather(*followed.tasks, return_exceptions=True)
        await server.stop()


@pytest.fixture
async def server() -> FakeApiServer:
    started = await FakeApiServer().start()
    await started.put(MAPS, config_map(configuration(watched_service())))
    await started.put(
        SLICES,
        slice_of("chat-1", endpoint("chat-r1-a", "10.0.0.1", ready=True), endpoint("chat-r2-b", "10.0.0.2")),
    )
    return started


async def test_what_is_there_is_listed(server: FakeApiServer) -> None:
    async with following(server) as followed:
        await eventually(lambda: followed.router.ready)
        await eventually(lambda: followed.ready() == {"r1": ["chat-r1-a"], "r2": ["chat-r2-b"]})
        assert {"fieldSelector": "metadata.name=default-router"} in server.selectors
        assert {"labelSelector": "pointsman.dev/role=engine"} in server.selectors


async def test_a_list_comes_in_pages() -> None:
    server = await FakeApiServer(page=2).start()
    await server.put(MAPS, config_map(configuration(watched_service())))
    for n in range(5):
        await server.put(SLICES, slice_of(f"chat-{n}", endpoint(f"chat-r1-{n}", f"10.0.0.{n}")))
    async with following(server) as followed:
        await eventually(lambda: len(followed.ready().get("r1", ())) == 5)


async def test_endpoints_come_change_and_go(server: FakeApiServer) -> None:
    async with following(server) as followed:
        await eventually(lambda: followed.ready().get("r1") == ["chat-r1-a"])
        await server.put(SLICES, slice_of("chat-2", endpoint("chat-r1-c", "10.0.0.3", ready=True)))
        await eventually(lambda: followed.ready()["r1"] == ["chat-r1-a", "chat-r1-c"])
        terminating = endpoint("chat-r1-a", "10.0.0.1", ready=False, serving=True, terminating=True)
        await server.put(SLICES, slice_of("chat-1", terminating))
        await eventually(lambda: followed.ready()["r1"] == ["chat-r1-c"])
        await server.delete(SLICES, "chat-2")
        await eventually(lambda: followed.ready()["r1"] == [])
        assert server.lists == 2, "one list each, all else by watching"


async def test_a_new_configuration_is_run_as_it_comes(server: FakeApiServer) -> None:
    async with following(server) as followed:
        await eventually(lambda: followed.router.ready)
        before = followed.router.state.table.hash
        document = configuration(watched_service(generation=2))
        await server.put(MAPS, config_map(document))
        await eventually(lambda: followed.router.state.table.hash != before)
        assert followed.router.state.table.hash == contract.config_hash(contract.parse(document))
        assert followed.router.state.table.services["chat"].generation == 2
        assert followed.ready()["r1"] == ["chat-r1-a"], "endpoints stay known"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({**configuration(watched_service()), "format": 2}, "format: 2 is not known"),
        ({**configuration(watched_service()), "surprise": 1}, "surprise: unknown field"),
        (configuration(watched_service(), maxAttempts=0), "services[0].routing.retries.maxAttempts"),
        (configuration(watched_service("a"), watched_service("a")), "services[1].name: 'a' is there twice"),
        ("not a mapping", "expected a mapping"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_bad_configuration_is_reported_and_the_last_good_one_kept(
    server: FakeApiServer, bad: Any, reason: str
) -> None:
    async with following(server) as followed:
        await eventually(lambda: followed.router.ready)
        before = followed.router.state.table
        await server.put(MAPS, config_map(bad))
        await eventually(lambda: followed.router.state.error)
        assert reason in followed.router.state.error
        assert followed.router.state.table is before
        assert followed.router.ready
        await server.put(MAPS, config_map(configuration(watched_service(generation=3))))
        await eventually(lambda: not followed.router.state.error)
        assert followed.router.state.table.services["chat"].generation == 3


async def test_a_deleted_configmap_stops_nothing(server: FakeApiServer) -> None:
    async with following(server) as followed:
        await eventually(lambda: followed.router.ready)
        await server.delete(MAPS, "default-router")
        await eventually(lambda: "was deleted" in followed.router.state.error)
        assert followed.ready()["r1"] == ["chat-r1-a"]


async def test_without_a_configmap_it_waits_and_says_so() -> None:
    server = await FakeApiServer().start()
    async with following(server) as followed:
        await eventually(lambda: "doesn't exist" in followed.router.state.error)
        assert not followed.router.ready
        await server.put(MAPS, config_map(configuration(watched_service())))
        await eventually(lambda: followed.router.ready)
        assert followed.router.state.error == ""


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({}, "missing"),
        ({"binaryData": {"other": ""}}, "missing"),
        (config_map(None, b"plain text"), "not gzip"),
        (config_map(None, gzip.compress(b"{}")[:-9]), "cut short"),
        (config_map(None, gzip.compress(bytes(40_000_000))), "over"),
        (config_map(None, gzip.compress(b"{")), "unexpected end"),
    ],
)
def test_a_configmap_that_cannot_be_unpacked_says_why(item: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unpack(item)


async def test_an_api_server_that_goes_away_changes_nothing_and_is_found_again(server: FakeApiServer) -> None:
    async with following(server) as followed:
        await eventually(lambda: followed.ready().get("r1") == ["chat-r1-a"])
        before = followed.router.state.table
        await server.stop()
        await asyncio.sleep(0.3)
        assert followed.router.state.table is before
        assert followed.router.ready
        await server.put(SLICES, slice_of("chat-2", endpoint("chat-r1-z", "10.0.0.9")))
        await server.start()
        await eventually(lambda: followed.ready()["r1"] == ["chat-r1-a", "chat-r1-z"])
        assert server.lists == 2, "watched on from where it was"


@pytest.mark.parametrize("how", ["answer", "event"])
async def test_lost_history_is_listed_anew_and_what_vanished_in_it_is_gone(
    server: FakeApiServer, how: str
) -> None:
    async with following(server) as followed:
        await eventually(lambda: followed.ready().get("r1") == ["chat-r1-a"])
        if how == "answer":
            await server.stop()
            server.objects[SLICES].pop("chat-1")
            await server.compact()
            await server.start()
        else:
            server.objects[SLICES].pop("chat-1")
            await server.error(SLICES, 410)
        await eventually(lambda: followed.ready() == {"r1": [], "r2": []})
        assert followed.router.ready


async def test_a_bookmark_moves_the_version_to_watch_from(server: FakeApiServer) -> None:
    async with following(server) as followed:
        await eventually(lambda: server.watches >= 2)
        await server.bookmark(SLICES)
        await server.bookmark(MAPS)
        await asyncio.sleep(0.05)
        server.oldest = server.version - 1  # the past but the bookmarks is forgotten
        watches = server.watches
        server.drop_connections()
        await eventually(lambda: server.watches >= watches + 2)
        await asyncio.sleep(0.1)
        assert server.lists == 2
        assert followed.router.ready


async def test_a_watch_that_ended_in_order_is_renewed_without_a_list(server: FakeApiServer) -> None:
    async with following(server) as followed:
        await eventually(lambda: server.watches >= 4, seconds=4)
        await server.put(SLICES, slice_of("chat-2", endpoint("chat-r1-n", "10.0.0.7")))
        await eventually(lambda: len(followed.ready()["r1"]) == 2)
        assert server.lists == 2


async def test_a_watch_that_froze_is_noticed(server: FakeApiServer) -> None:
    async with following(server) as followed:
        await eventually(lambda: server.watches >= 2)
        server.frozen = True
        await server.put(SLICES, slice_of("chat-2", endpoint("chat-r1-n", "10.0.0.7")))
        await asyncio.sleep(0.2)
        assert followed.ready()["r1"] == ["chat-r1-a"]
        server.frozen = False
        await eventually(lambda: len(followed.ready()["r1"]) == 2, seconds=4)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_refusals_are_retried(server: FakeApiServer, status: int) -> None:
    server.failing = status
    async with following(server) as followed:
        await asyncio.sleep(0.1)
        assert not followed.router.ready
        server.failing = 0
        await eventually(lambda: followed.router.ready)


async def test_an_object_nobody_foresaw_stops_no_watch(
    server: FakeApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(server) as followed:
        await eventually(lambda: followed.ready().get("r1") == ["chat-r1-a"])
        await server.put(SLICES, {"metadata": {"name": "odd"}, "endpoints": "what"})
        await eventually(lambda: "could not take" in caplog.text)
        assert followed.ready()["r1"] == ["chat-r1-a"]
        await server.delete(SLICES, "odd")
        await server.put(SLICES, slice_of("chat-2", endpoint("chat-r1-n", "10.0.0.7")))
        await eventually(lambda: len(followed.ready()["r1"]) == 2)


async def test_the_token_is_read_anew_and_the_certificate_checked(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = await FakeApiServer(token="first").start(tls)
    await server.put(MAPS, config_map(configuration(watched_service())))
    token = tmp_path / "token"
    token.write_text("first\n")
    api = Api.at(f"https://127.0.0.1:{server.port}", str(certificate), str(token))
    async with following(server, api) as followed:
        await eventually(lambda: followed.router.ready)
        server.token = "second"
        token.write_text("second")
        server.drop_connections()
        await server.put(MAPS, config_map(configuration(watched_service(generation=7))))
        await eventually(lambda: followed.router.state.table.services["chat"].generation == 7)
    stranger = Api(Target("127.0.0.1", server.port, ssl.create_default_context()), token)
    await server.start(tls)
    async with following(server, stranger) as followed:
        await asyncio.sleep(0.2)
        assert not followed.router.ready


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "tls.crt", folder / "tls.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files
