"""The fit calculation beside real vLLM: weights, one sequence's cache, and the longest context that fits.

Each model is started by vLLM for CPUs with a cache of a given size, and again with one too small for a
sequence of its longest context, which vLLM refuses. On a CPU it profiles no activations: those were compared
with published figures (tests/unit/core/test_fit.py).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench.fit.models import Subject, subjects
from bench.placement import environment
from bench.placement.environment import Environment
from bench.processes import cores, entry
from bench.result import Target, conclude, table
from e2e.cluster.instance import ClusterError
from e2e.cluster.progress import say, spoken
from pointsman.api.service import ServiceSpec
from pointsman.core import sizing
from pointsman.core.fit import GIB, Estimate, Model, Placement, estimate
from pointsman_engine import facts, weights

CACHE: Final = GIB // 2
"""Size of the cache with which vLLM starts."""
SHORT: Final = 0.4
"""Which part of one sequence's cache it's given when it has to refuse."""
CONTEXT: Final = 4096
BLOCK: Final = 32
"""What attention on a CPU takes."""
WITHIN: Final = 0.02
"""How far off a figure may be."""
_PROBE: Final = Path(__file__).resolve().parent / "probe.py"
_CAPACITY: Final = re.compile(r"KV cache size: ([\d,]+) tokens")
_WITHIN_S: Final = 600.0
_ENVIRON: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure, as calculated and as vLLM has it."""

    ours: float
    theirs: float

    @property
    def error(self) -> float:
        """By which part of vLLM's figure ours is larger."""
        return self.ours / self.theirs - 1 if self.theirs else 0.0


def main() -> int:
    """The bench. Gives its exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.fit", description=__doc__)
    parser.add_argument("--only", default="", help="models whose name holds this")
    only, started, made = parser.parse_args().only, time.monotonic(), environment.ensure()
    found: dict[str, dict[str, Compared]] = {}
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as scratch:
        for subject in subjects(made, Path(scratch)):
            if only.lower() not in subject.name.lower():
                continue
            try:
                found[subject.name] = _compare(made, subject)
            except ClusterError as error:
                problems.append(f"{subject.name}: {error}")
            say(f"{subject.name}: {_errors(found.get(subject.name))}")
    say(f"  {len(found)} models took {spoken(time.monotonic() - started)}")
    return _conclude(found, problems)


def _compare(made: Environment, subject: Subject) -> dict[str, Compared]:
    """What is calculated of a model beside what vLLM tells of it."""
    spec = _spec(subject)
    model = sizing.model(spec, None, _document(subject))
    declared = sizing.placement(spec)
    assert declared is not None
    base = sizing.adapted(declared, spec, {})
    calculated = estimate(model, base)
    short = int(calculated.cache * SHORT)
    told = _ask(made, subject, short)
    figures = {
        "sequence": Compared(calculated.cache, CACHE / (told["tokens"] / told["context"])),
        "longest": Compared(_longest(model, base, calculated, short), told["longest"]),
    }
    # Weights that vLLM makes up aren't counted anywhere else.
    return figures if subject.made_up else {"weights": Compared(model.weights, told["weights"]), **figures}


def _longest(model: Model, base: Placement, calculated: Estimate, cache: int) -> int:
    """The longest context for which so much cache is enough."""
    beside = calculated.weights + calculated.activations + calculated.overhead
    return min(estimate(model, replace(base, device=beside + cache, percent=100)).largest, CONTEXT)


def _spec(subject: Subject) -> ServiceSpec:
    """The service as it would be declared: vLLM's CPU has no accelerator, so any does."""
    engine: dict[str, Any] = {
        "maxModelLen": CONTEXT,
        "args": {
            "block-size": str(BLOCK),
            "max-num-batched-tokens": "2048",
            "max-num-seqs": "64",
            "async-scheduling": "false",
        },
    }
    if "dtype" in subject.options:
        engine["dtype"] = subject.options["dtype"]
    hardware = {"accelerator": {"resource": "example.com/cpu", "count": 1}, "deviceMemory": "64Gi"}
    source = {"source": {"uri": "file:///m"}}
    return ServiceSpec.model_validate({"model": source, "hardware": hardware, "engine": engine})


def _document(subject: Subject) -> dict[str, Any]:
    """What a resolve Job would say of it."""
    config = json.loads((subject.path / "config.json").read_text())
    stored = {"F16": 1} if subject.made_up else weights.parameters(subject.path)
    return {"config": facts.facts(config), "weights": stored}


def _ask(made: Environment, subject: Subject, short: int) -> dict[str, int]:
    """vLLM's own figures."""
    options = {
        "dtype": "float16",
        "block_size": BLOCK,
        "max_model_len": CONTEXT,
        "max_num_batched_tokens": 2048,
        "max_num_seqs": 64,
        "async_scheduling": False,
        "kv_cache_memory_bytes": CACHE,
        "distributed_executor_backend": "uni",
        "short": short,
        **({"load_format": "dummy"} if subject.made_up else {}),
        **subject.options,
    }
    done = subprocess.run(
        [str(made.venv / "bin" / "python"), str(_PROBE), str(subject.path), json.dumps(options)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        env={**os.environ, **_ENVIRON},
        preexec_fn=lambda: os.sched_setaffinity(0, {cores().traffic}),
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise ClusterError(f"vLLM didn't answer:\n{(done.stderr or done.stdout)[-1500:]}")
    told: dict[str, int] = json.loads(lines[-1])
    # The first line is of the start with the larger cache.
    logged = _CAPACITY.search(done.stdout + done.stderr)
    if logged is None or not told["longest"]:
        raise ClusterError(f"vLLM didn't say how much it holds:\n{done.stdout[-1500:]}")
    return {**told, "tokens": int(logged[1].replace(",", ""))}


def _errors(figures: dict[str, Compared] | None) -> str:
    if figures is None:
        return "not compared"
    return ", ".join(f"{name} {100 * one.error:+.2f} %" for name, one in figures.items())


def _conclude(found: dict[str, dict[str, Compared]], problems: list[str]) -> int:
    """The table, and the last line."""
    rows = [
        (model, name, f"{one.ours:,.0f}", f"{one.theirs:,.0f}", f"{100 * one.error:+.2f} %")
        for model, figures in found.items()
        for name, one in figures.items()
    ]
    print(table(("model", "figure (bytes; tokens)", "calculated", "vLLM", "error"), rows))
    worst = {
        name: max((abs(figures[name].error) for figures in found.values() if name in figures), default=1.0)
        for name in ("weights", "sequence", "longest")
    }
    targets = [Target(f"largest error of {name}", error, WITHIN) for name, error in worst.items()]
    figures = {
        "models": len(found),
        "errors": {
            model: {name: round(one.error, 5) for name, one in compared.items()}
            for model, compared in found.items()
        },
    }
    return conclude("fit", figures, targets, problems)


if __name__ == "__main__":
    entry(main)
