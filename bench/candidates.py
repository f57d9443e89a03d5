"""What is measured: our router in several settings, its peers, and no proxy at all.

All stand before the same fake engines, each as a production deployment would run it: ours with its access log
going to a file. Knows how each is started and when it's ready; nothing of measuring.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import shipped
from bench.load import KEY
from bench.peers import Peers
from bench.processes import free_port, running
from e2e.cluster.instance import ClusterError

KEYS = 100
"""API keys in the configuration of a candidate that has any; the load bears the last one."""
_READY_WITHIN_S = 90.0
_QUESTION = json.dumps(
    {
        "model": "m",
        "messages": [{"role": "user", "content": "bench-0000000000000000-0000-00000000"}],
        "max_tokens": 1,  # a real engine with a random model may go on for minutes
    }
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proxy, or the engine itself where there is no command."""

    name: str
    command: tuple[str | Path, ...]
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(slots=True)
class Running:
    """A candidate that answers."""

    candidate: Candidate
    process: subprocess.Popen[bytes] | None

    @property
    def pid(self) -> int | None:
        """The root of its processes; None for the engine itself."""
        return None if self.process is None else self.process.pid


def direct(address: str, folder: Path) -> Candidate:
    """The engine itself."""
    return Candidate("direct", (), int(address.rpartition(":")[2]), folder / "direct.log")


def ours(
    name: str,
    folder: Path,
    engines: Sequence[str],
    *,
    policy: str,
    keys: bool = False,
    canary: bool = False,
    limits: Mapping[str, Any] | None = None,
    routing: Mapping[str, Any] | None = None,
) -> Candidate:
    """Our router, running alone from a file. `canary`: in the middle of a rollout, with a window."""
    port, admin_port = (free_port(), free_port())
    config = {
        "name": name,
        "listen": {"host": "127.0.0.1", "port": port},
        "admin": {"host": "127.0.0.1", "port": admin_port},
        "services": [
            {
                "name": "bench",
                "modelNames": ["m"],
                "engineModel": "m",
                **(_rollout(engines) if canary else _settled(engines)),
                "routing": {"picking": {"policy": policy}, **(routing or {})},
            }
        ],
        "limits": dict(limits or {}),
        "keys": _keys() if keys else [],
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(config, indent=1))
    return Candidate(name, (*shipped.command(), "--config", path), port, folder / f"{name}.log")


def _settled(engines: Sequence[str]) -> dict[str, Any]:
    return {"variants": [{"name": "stable", "upstream": {"addresses": list(engines)}}]}


def _rollout(engines: Sequence[str]) -> dict[str, Any]:
    """A tenth of the conversations with a candidate and its prompt, each staying where it is."""
    half = len(engines) // 2
    return {
        "variants": [
            {"name": "stable", "weight": 90, "prompt": "v1", "upstream": {"addresses": list(engines[:half])}},
            {"name": "next", "weight": 10, "prompt": "v2", "upstream": {"addresses": list(engines[half:])}},
        ],
        "prompts": [_prompt("v1"), _prompt("v2")],
        "assignment": {"key": "conversation", "salt": "next"},
        "analysis": {"window": "next/0", "warmUpRequests": 50},
    }


def _prompt(name: str) -> dict[str, Any]:
    """Half a KiB that stands before each request, with a variable in it."""
    text = "You are {{who}} who answers briefly. " + "Be kind, be right, and say if you are not sure. " * 10
    return {
        "name": name,
        "messages": [{"role": "system", "content": text}],
        "variables": [{"name": "who", "required": False, "default": "an assistant"}],
        "parameters": [{"name": "temperature", "value": "0.2"}],
    }


def _keys() -> list[dict[str, str]]:
    secrets = [*(f"sk-other-{number}" for number in range(KEYS - 1)), KEY]
    return [
        {"name": f"team-{number}", "sha256": hashlib.sha256(secret.encode()).hexdigest()}
        for number, secret in enumerate(secrets)
    ]


def vllm_router(
    name: str, folder: Path, peers: Peers, engines: Sequence[str], *, policy: str, options: Sequence[str] = ()
) -> Candidate:
    """vLLM's own router."""
    port, metrics_port = (free_port(), free_port())
    urls = [f"http://{engine}" for engine in engines]
    command = (peers.vllm_router, "--host", "127.0.0.1", "--port", str(port), "--policy", policy)
    quiet = ("--prometheus-port", str(metrics_port), "--log-level", "error")
    return Candidate(name, (*command, *quiet, *options, "--worker-urls", *urls), port, folder / f"{name}.log")


@contextlib.contextmanager
def up(candidate: Candidate, core: int) -> Iterator[Running]:
    """The candidate on `core`, once it answers as the engine would."""
    if not candidate.command:
        yield Running(candidate, None)
        return
    with running(candidate.command, core, candidate.log) as process:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not answers(candidate.port):
            if process.poll() is not None or time.monotonic() > deadline:
                said = candidate.log.read_text(errors="replace")[-2000:]
                raise ClusterError(f"{candidate.name} didn't come to answer:\n{said}")
            time.sleep(0.1)
        yield Running(candidate, process)


def answers(port: int) -> bool:
    """Whether a chat request is answered there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    fields = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    try:
        connection.request("POST", "/v1/chat/completions", _QUESTION, fields)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
