"""What operators of routers see: metrics with bounded labels, and an access log without content."""

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.router.engine import echo, events, reply
from tests.router.stack import CHAT, STREAM, Stack, get, post

ROOT = Path(__file__).resolve().parents[2]


async def test_metrics_are_well_formed_and_their_labels_bounded(stack: Stack) -> None:
    await stack.engine(always=echo)
    await stack.start()
    await stack.ask(CHAT)
    for n in range(5):
        await stack.ask(post("/v1/chat/completions", {"model": f"made-up-{n}"}))
        await stack.ask(get(f"/made/up/{n}"))
        await stack.ask(b"made up %d\r\n\r\n" % n)
    answer = await stack.admin("GET", "/metrics")
    assert (answer.field("content-type") or "").startswith("text/plain")
    families = {f.name: f for f in text_string_to_metric_families(answer.body.decode())}
    assert "made-up" not in answer.body.decode()
    assert "/made" not in answer.body.decode()
    samples = {
        tuple(s.labels.values()): s.value
        for s in families["pointsman_router_requests"].samples
        if s.name.endswith("_total")
    }
    assert samples == {
        ("200", "chat", "stable"): 1,
        ("404", "", ""): 10,
        ("400", "", ""): 5,
    }
    durations = families["pointsman_router_duration_seconds"].samples
    chat = [s for s in durations if s.labels.get("variant") == "stable"]
    assert [s.value for s in chat if s.labels.get("le") == "+Inf"] == [1]
    for name in (
        "endpoints",
        "upstream_connections",
        "client_connections",
        "ready",
        "config_error",
        "in_flight",
        "queued",
        "retries",
        "ejections",
        "ejected_endpoints",
        "engine_failures",
        "chunk_seconds",
        "first_byte_seconds",
        "sent_bytes",
        "limits_hit",
    ):
        assert f"pointsman_router_{name}" in families
    assert families["pointsman_router_refused_connections"].samples[0].value == 5


async def test_every_metric_is_documented_and_every_documented_one_is_there(stack: Stack) -> None:
    await stack.start()
    text = (await stack.admin("GET", "/metrics")).body.decode()
    shown = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
    }
    table = (ROOT / "docs/engines.md").read_text().partition("## Metrics")[2]
    first_cells = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    documented = {"pointsman_router_" + name for name in re.findall("`([a-z_]+)`", first_cells)}
    assert documented == {name for name in shown if name.startswith("pointsman_router_")}
    named = set(re.findall("pointsman_router_[a-z_]+", (ROOT / "docs/conditions.md").read_text()))
    assert named
    assert named <= documented


async def test_the_access_log_tells_everything_but_content(stack: Stack) -> None:
    await stack.engine(reply({"object": "chat.completion", "secret": "answer"}))
    await stack.start()
    secret = {"model": "chat", "messages": [{"role": "user", "content": "secret question"}]}
    await stack.ask(post("/v1/chat/completions?key=secret", secret, "X-Request-Id: id-1", "Cookie: secret"))
    await stack.ask(post("/v1/chat/completions", {"model": "secret"}))
    await stack.ask(get("/secret"))
    await stack.ask(b"secret\r\n\r\n")
    entries = stack.entries()
    assert "secret" not in json.dumps(entries)
    first = entries[0]
    assert first["seconds"] >= first["firstByte"] > 0
    assert abs(first.pop("time") - 1.79e9) < 1e9
    del first["seconds"], first["firstByte"]
    assert first == {
        "id": "id-1",
        "route": "/v1/chat/completions",
        "status": 200,
        "service": "chat",
        "variant": "stable",
        "engine": stack.engines[0].address,
        "attempts": 1,
        "bytesIn": len(json.dumps(secret)),
        "bytesOut": len(json.dumps({"object": "chat.completion", "secret": "answer"})),
        "client": "127.0.0.1",
        "key": "",
        "ending": "ok",
    }
    rest = [(e["route"], e["status"], e["service"], e["ending"]) for e in entries[1:]]
    assert rest == [
        ("/v1/chat/completions", 404, "", "refused"),
        ("-", 404, "", "refused"),
        ("-", 400, "", "refused"),
    ]


async def test_the_gaps_of_a_stream_are_sampled(stack: Stack) -> None:
    await stack.engine(events(*range(40), gap=0.01))
    await stack.start()
    await stack.ask(STREAM)
    gaps = stack.router.state.table.services["chat"].variants[0].stats.gaps
    assert sum(gaps.counts) in (2, 3, 4), "the first, and one of sixteen from then on"
    assert 0.005 * sum(gaps.counts) < gaps.total < 0.2
    assert stack.metric("chunk_seconds_count", service="chat", variant="stable") == sum(gaps.counts)
