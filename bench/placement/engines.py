"""Two real engines, one a core, and what their own metrics say of their prefix caches."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.placement.environment import Environment
from bench.processes import free_port, running
from e2e.cluster.instance import ClusterError
from e2e.cluster.progress import step

MODEL: Final = "m"
_ENVIRON: Final = (
    "HF_HUB_OFFLINE=1",
    "TRANSFORMERS_OFFLINE=1",
    "VLLM_NO_USAGE_STATS=1",
    "VLLM_TARGET_DEVICE=cpu",
    "VLLM_SERVER_DEV_MODE=1",  # for /reset_prefix_cache
    "VLLM_ENABLE_V1_MULTIPROCESSING=0",
    "VLLM_CPU_OMP_THREADS_BIND=nobind",
    "OMP_NUM_THREADS=1",
)
_FLAGS: Final = (
    "--dtype=bfloat16",
    "--block-size=32",
    "--max-model-len=4096",
    "--max-num-seqs=64",
    "--kv-cache-memory-bytes=512M",  # more than a run fills, so that nothing is evicted
    "--distributed-executor-backend=uni",
    "--enforce-eager",
    "--enable-scale-out",  # without it vllm-router's cache_aware spreads by load
)
_READY_WITHIN_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Cached:
    """Tokens that prefix caches were asked for, and that they had."""

    queries: float
    hits: float

    def __sub__(self, other: Cached) -> Cached:
        return Cached(self.queries - other.queries, self.hits - other.hits)


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers."""

    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cached(self) -> Cached:
        """What its cache was asked so far."""
        text = self._ask("GET", "/metrics")
        return Cached(_total(text, "queries"), _total(text, "hits"))

    def block_size(self) -> int:
        """Tokens that are cached together."""
        found = re.search(r'vllm:cache_config_info\{[^}]*\bblock_size="(\d+)"', self._ask("GET", "/metrics"))
        if found is None:
            raise ClusterError("the engine's metrics don't say how large its cache's blocks are")
        return int(found[1])

    def forget(self) -> None:
        """Empties its prefix cache."""
        self._ask("POST", "/reset_prefix_cache")

    def tokens(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """A prompt as the engine computes it."""
        tokens: list[int] = json.loads(
            self._ask("POST", "/tokenize", {"model": MODEL, "messages": list(messages)})
        )["tokens"]
        return tokens

    def _ask(self, method: str, path: str, document: Any = None) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, path, body, {"content-type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            raise ClusterError(f"{method} {path} at the engine: {response.status} {text[:300]}")
        return text


def _total(metrics: str, what: str) -> float:
    pattern = rf"^vllm:prefix_cache_{what}_total\{{[^}}]*\}} (\S+)$"
    return sum(map(float, re.findall(pattern, metrics, re.MULTILINE)))


@contextlib.contextmanager
def running_engines(environment: Environment, cores: Sequence[int], folder: Path) -> Iterator[list[Engine]]:
    """One engine on each core, once all answer."""
    with contextlib.ExitStack() as stack:
        engines = []
        with step(f"{len(cores)} vLLM engines are ready"):
            for core in cores:
                engine = Engine(free_port())
                command = (
                    environment.vllm,
                    "serve",
                    environment.model,
                    "--served-model-name",
                    MODEL,
                    *_FLAGS,
                )
                where = ("--host", "127.0.0.1", "--port", str(engine.port))
                log = folder / f"engine-{core}.log"
                process = stack.enter_context(running(("env", *_ENVIRON, *command, *where), core, log))
                engines.append((engine, process, log))
            for engine, process, log in engines:
                _wait(engine, process, log)
        yield [engine for engine, _, _ in engines]


def _wait(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        with contextlib.suppress(OSError):
            engine.forget()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-2000:]
            raise ClusterError(f"an engine didn't come to answer:\n{said}")
        time.sleep(0.5)
