"""Where requests go, measured on two real engines: how much of their prompts was cached, and what that saved.

Round robin (ours), prefix affinity (ours) and vllm-router's cache_aware take turns, on the same prompts in
each round. Before each turn the engines' caches are emptied and the router is started anew, so that nobody
finds what another left. Every round has a seed, and so texts, of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import candidates, peers
from bench.candidates import Candidate
from bench.placement import environment
from bench.placement.asking import CONCURRENCY, ask
from bench.placement.engines import Cached, Engine, running_engines
from bench.placement.workloads import Workload, conversations, ideal, prefixes
from bench.processes import Cores, cores, entry, running
from bench.result import Target, conclude, middle, table
from e2e.cluster.instance import ClusterError
from e2e.cluster.progress import say, spoken

WORKLOADS: Final = {"prefixes": prefixes, "conversations": conversations}
OURS: Final = "pointsman-router PrefixAffinity"
PEER: Final = "vllm-router cache_aware"
ROUND_ROBIN: Final = "pointsman-router RoundRobin"
MAY_MISS: Final = 0.01
"""How much lower than the peer's our hit rate may be."""
_READY_WITHIN_S: Final = 60.0


@dataclass(slots=True)
class Figures:
    """One router's, a value for each round."""

    hit_rate: list[float] = field(default_factory=list)
    mean_ms: list[float] = field(default_factory=list)
    median_ms: list[float] = field(default_factory=list)

    def medians(self) -> dict[str, float]:
        return {
            "hit_rate": round(middle(self.hit_rate), 4),
            "ttft_mean_ms": middle(self.mean_ms),
            "ttft_median_ms": middle(self.median_ms),
        }


@dataclass(slots=True)
class Measured:
    """Everything of all rounds so far."""

    figures: dict[tuple[str, str], Figures] = field(default_factory=dict)
    """By workload and router."""
    ideals: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def main() -> int:
    """The bench. Gives its exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.placement", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="seeds, each asked of every router (default 5)")
    rounds = parser.parse_args().rounds
    started = time.monotonic()
    made, peer = environment.ensure(), peers.ensure()
    where = cores()
    with (
        tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder,
        running_engines(made, (where.proxy, where.traffic), Path(folder)) as engines,
    ):
        place = Place(Path(folder), where, engines, peer)
        measured = Measured()
        place.warm_up()
        for number in range(1, rounds + 1):
            _round(number, rounds, place, measured)
    say(f"  {rounds} rounds took {spoken(time.monotonic() - started)}")
    return _conclude(measured, rounds)


@dataclass(frozen=True, slots=True)
class Place:
    """What the routers stand before."""

    folder: Path
    cores: Cores
    engines: Sequence[Engine]
    peer: peers.Peers

    def routers(self) -> dict[str, Callable[[], Candidate]]:
        addresses = [engine.address for engine in self.engines]

        def ours(policy: str) -> Candidate:
            return candidates.ours(policy, self.folder, addresses, policy=policy)

        def vllm_router() -> Candidate:
            return candidates.vllm_router(
                "vllm-router", self.folder, self.peer, addresses, policy="cache_aware"
            )

        return {
            ROUND_ROBIN: lambda: ours("RoundRobin"),
            OURS: lambda: ours("PrefixAffinity"),
            PEER: vllm_router,
        }

    def warm_up(self) -> None:
        """What an engine's first prompts cost isn't anybody's to pay."""
        for engine in self.engines:
            for seed in (-1, -2):
                ask(engine.port, Workload("", conversations(seed).threads[:2]))

    def cached(self) -> Cached:
        every = [engine.cached() for engine in self.engines]
        return Cached(sum(one.queries for one in every), sum(one.hits for one in every))


@contextlib.contextmanager
def _up(candidate: Candidate, core: int) -> Iterator[None]:
    """The router, once it answers."""
    probe = Workload("", (((({"role": "user", "content": "ready?"}),),),))
    with running(candidate.command, core, candidate.log) as process:
        deadline = time.monotonic() + _READY_WITHIN_S
        while ask(candidate.port, probe).problems:
            if process.poll() is not None or time.monotonic() > deadline:
                said = candidate.log.read_text(errors="replace")[-2000:]
                raise ClusterError(f"{candidate.name} didn't come to answer:\n{said}")
            time.sleep(0.2)
        yield


def _round(number: int, rounds: int, place: Place, measured: Measured) -> None:
    """Every workload of this seed through every router, in another order each round."""
    routers = list(place.routers().items())
    random.Random(number).shuffle(routers)
    for name, make in WORKLOADS.items():
        workload = make(number)
        tokens = [place.engines[0].tokens(prompt) for prompt in workload.prompts]
        best = ideal(tokens, place.engines[0].block_size())
        measured.ideals.setdefault(name, []).append(best)
        say(
            f"Round {number} of {rounds}, {name}: "
            f"{len(tokens)} prompts, {sum(map(len, tokens))} tokens, ideal {best:.3f}"
        )
        for router, candidate in routers:
            _run(router, candidate(), workload, place, measured)


def _run(router: str, candidate: Candidate, workload: Workload, place: Place, measured: Measured) -> None:
    with _up(candidate, place.cores.traffic):
        for engine in place.engines:
            engine.forget()
        before = place.cached()
        asked = ask(candidate.port, workload)
        cached = place.cached() - before
    measured.problems += [f"{router}, {workload.name}: {problem}" for problem in asked.problems]
    if not asked.first_token_s or not cached.queries:
        raise ClusterError(f"{router} answered nothing: {asked.problems[:1]}")
    figures = measured.figures.setdefault((workload.name, router), Figures())
    figures.hit_rate.append(cached.hits / cached.queries)
    figures.mean_ms.append(asked.mean_ms)
    figures.median_ms.append(asked.median_ms)
    say(f"  {router:32} hit rate {figures.hit_rate[-1]:.3f}, first token {asked.mean_ms:.0f} ms in the mean")


def _conclude(measured: Measured, rounds: int) -> int:
    figures: dict[str, object] = {"rounds": rounds, "concurrency": CONCURRENCY}
    targets, rows = [], []
    for name in WORKLOADS:
        best = middle(measured.ideals[name])
        of = {router: measured.figures[name, router].medians() for router in (ROUND_ROBIN, OURS, PEER)}
        figures[name] = {"ideal_hit_rate": best, **of}
        rows += [(name, router, *one.values()) for router, one in of.items()]
        rows.append((name, "ideal", best, "", ""))
        floor = round(of[PEER]["hit_rate"] - MAY_MISS, 4)
        targets.append(Target(f"hit rate of {name}, {OURS}", of[OURS]["hit_rate"], floor, at_least=True))
    print(table(("workload", "router", "hit rate", "TTFT mean ms", "median ms"), rows))
    return conclude("placement", figures, targets, measured.problems)


if __name__ == "__main__":
    entry(main)
