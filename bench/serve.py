"""vLLM's own benchmark, `vllm bench serve`, through the router and straight at the engine, by turns.

One real engine on one core; the router, where there is one, and the benchmark share the other. Before each
turn the engine's prefix cache is emptied, and both sides of a round are asked the same prompts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench import candidates
from bench.candidates import up
from bench.placement import environment
from bench.placement.engines import MODEL, Engine, running_engines
from bench.placement.environment import Environment
from bench.processes import cores, entry
from bench.result import Target, conclude, middle, table
from e2e.cluster.instance import ClusterError
from e2e.cluster.progress import say, spoken

DIRECT: Final = "direct"
OURS: Final = "pointsman-router"
METRICS: Final = {
    "ttft_median_ms": "median_ttft_ms",
    "ttft_p99_ms": "p99_ttft_ms",
    "tpot_median_ms": "median_tpot_ms",
    "tpot_p99_ms": "p99_tpot_ms",
    "output_tokens_per_s": "output_throughput",
    "requests_per_s": "request_throughput",
}
"""Our name of each figure, and the benchmark's."""
SLOWER: Final = 1.05
"""How much longer a token may take through the router, in the median."""
THROUGHPUT: Final = 0.95
"""What share of the direct throughput has to be left."""
_WITHIN_S: Final = 300.0
_OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}


@dataclass(frozen=True, slots=True)
class Load:
    """What the benchmark sends: random prompts, so many at once, each streamed to its full length."""

    prompts: int = 80
    concurrency: int = 8
    input_tokens: int = 256
    output_tokens: int = 64

    def options(self, seed: int) -> dict[str, object]:
        return {
            "dataset-name": "random",
            "num-prompts": self.prompts,
            "max-concurrency": self.concurrency,
            "random-input-len": self.input_tokens,
            "random-output-len": self.output_tokens,
            "seed": seed,
            "percentile-metrics": "ttft,tpot",
            "metric-percentiles": "99",
        }


@dataclass(slots=True)
class Measured:
    """Every turn's figures, by side and name, and what went wrong."""

    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, side: str, told: Mapping[str, Any], load: Load) -> None:
        if told["completed"] != load.prompts:
            self.problems.append(f"{side}: {told['completed']} of {load.prompts} requests were answered")
        mine = self.figures.setdefault(side, {name: [] for name in METRICS})
        for name, theirs in METRICS.items():
            mine[name].append(float(told[theirs]))

    def medians(self, side: str) -> dict[str, float]:
        return {name: middle(values) for name, values in self.figures[side].items()}


def main() -> int:
    """The bench. Gives its exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.serve", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured (default 5)")
    rounds = parser.parse_args().rounds
    started, load, measured = time.monotonic(), Load(), Measured()
    made, where = environment.ensure(), cores()
    with (
        tempfile.TemporaryDirectory(prefix="pointsman-bench-") as scratch,
        running_engines(made, (where.proxy,), Path(scratch)) as (engine,),
    ):
        folder = Path(scratch)
        sides = {
            DIRECT: candidates.direct(engine.address, folder),
            OURS: candidates.ours("ours", folder, [engine.address], policy="LeastLoaded"),
        }
        with up(sides[OURS], where.traffic):
            _turn(made, engine, sides[OURS].port, Load(8, 8), 0, folder, where.traffic)  # a warm-up
            for number in range(1, rounds + 1):
                order = (DIRECT, OURS) if number % 2 else (OURS, DIRECT)
                for side in order:
                    told = _turn(made, engine, sides[side].port, load, number, folder, where.traffic)
                    measured.take(side, told, load)
                    say(
                        f"Round {number} of {rounds}, {side}: {told['output_throughput']:.0f} tokens/s, "
                        f"TTFT {told['median_ttft_ms']:.1f} ms, TPOT {told['median_tpot_ms']:.2f} ms"
                    )
    say(f"  {rounds} rounds took {spoken(time.monotonic() - started)}")
    return _conclude(measured, rounds, load)


def _turn(
    made: Environment, engine: Engine, port: int, load: Load, seed: int, folder: Path, core: int
) -> dict[str, Any]:
    """One run of the benchmark against `port`, on `core`; what it wrote down."""
    engine.forget()
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    options = {
        "backend": "openai-chat",
        "base-url": f"http://127.0.0.1:{port}",
        "endpoint": "/v1/chat/completions",
        "model": MODEL,
        "served-model-name": MODEL,
        "tokenizer": made.model,
        "result-dir": folder,
        "result-filename": result.name,
        **load.options(seed),
    }
    flags = ["--ignore-eos", "--save-result", "--disable-tqdm"]
    command = [made.vllm, "bench", "serve", *(f"--{name}={value}" for name, value in options.items()), *flags]
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        env={**os.environ, **_OFFLINE},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    if done.returncode or not result.is_file():
        raise ClusterError(f"vllm bench serve failed:\n{(done.stderr or done.stdout)[-2000:]}")
    told: dict[str, Any] = json.loads(result.read_text())
    return told


def _conclude(measured: Measured, rounds: int, load: Load) -> int:
    """The table, and the last line."""
    medians = {side: measured.medians(side) for side in (DIRECT, OURS)}
    ratios = {name: round(medians[OURS][name] / medians[DIRECT][name], 4) for name in METRICS}
    rows = [(name, medians[DIRECT][name], medians[OURS][name], f"{ratios[name]:.3f}") for name in METRICS]
    print(table(("median of the rounds", DIRECT, OURS, "ratio"), rows))
    targets = [
        Target("output throughput, of direct", ratios["output_tokens_per_s"], THROUGHPUT, at_least=True),
        Target("median TPOT, times direct", ratios["tpot_median_ms"], SLOWER),
    ]
    asked = {
        "prompts": load.prompts,
        "concurrency": load.concurrency,
        "input_tokens": load.input_tokens,
        "output_tokens": load.output_tokens,
    }
    figures = {"rounds": rounds, "load": asked, **medians, "ratios": ratios}
    return conclude("serve", figures, targets, measured.problems)


if __name__ == "__main__":
    entry(main)
