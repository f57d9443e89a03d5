"""Simulated rollouts, judged as the operator judges them, beside fixed thresholds: what is found, and how
soon.

Ten thousand rollouts for each effect. Rates are of rollouts; `exposed` is how many requests a candidate had
answered since it was bad when it was rejected.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Final

import numpy as np

from bench.canary.thresholds import ARGO, FLAGGER, Minutes, Numbers, Rule, tuned
from bench.canary.traffic import LOOKS, OWN, QUIET, Effect
from bench.canary.trial import GATES, Seen, trial
from bench.result import Target, conclude, table
from e2e.cluster.progress import say, spoken

NOTHING: Final = Effect("nothing wrong")
EARLY: Final = 9
RESTART: Final = 33
"""Ticks of ten seconds: in the middle of a minute, before its look."""
EFFECTS: Final = (
    NOTHING,
    Effect("1.2 x latency", slower=1.2),
    Effect("1.5 x latency", slower=1.5),
    Effect("2 x latency", slower=2.0),
    Effect("+0.5 % errors", errors=0.005),
    Effect("+1 % errors", errors=0.01),
    Effect("+5 % errors", errors=0.05),
    Effect("nothing wrong, 1 % errors", base=0.01),
    Effect("+1 % errors on 1 %", errors=0.01, base=0.01),
    Effect("nothing wrong, mixed", whole=0.5),
    Effect("1.5 x, mixed", slower=1.5, slower_whole=1.5, whole=0.5),
    Effect("2 x, mixed", slower=2.0, slower_whole=2.0, whole=0.5),
    Effect("2 x streams, mixed", slower=2.0, whole=0.5),
    Effect("2 x, mixed, not told", slower=2.0, slower_whole=2.0, whole=0.5, told=False),
    Effect("+5 % errors after 5 minutes", errors=0.05, after=5),
    Effect("2 x latency after 5 minutes", slower=2.0, after=5),
    Effect("nothing wrong, 2.5 a second", arrivals=QUIET),
    Effect("2 x latency, 2.5 a second", slower=2.0, arrivals=QUIET),
    Effect("4 x latency, 2.5 a second", slower=4.0, arrivals=QUIET),
    Effect("+5 % errors, 2.5 a second", errors=0.05, arrivals=QUIET),
    Effect("nothing wrong, clients leave", patience=4.0),
    Effect("2 x latency, clients leave", slower=2.0, patience=4.0),
    Effect("50 x latency, clients leave", slower=50.0, patience=4.0),
    Effect("nothing wrong, 2.5 a second, clients leave", patience=4.0, arrivals=QUIET),
    Effect("50 x latency, 2.5 a second, clients leave", slower=50.0, patience=4.0, arrivals=QUIET),
    Effect("nothing wrong, routers restart", restart=RESTART),
    Effect("1.5 x latency, routers restart", slower=1.5, restart=EARLY),
    Effect("+5 % errors after 5 minutes, routers restart", errors=0.05, after=5, restart=RESTART),
)
"""Half of the answers of a mixture aren't streams. `not told`: by routers that count both kinds as one."""
WANTED: Final = {
    "1.5 x latency": 0.9,
    "2 x latency": 0.99,
    "+1 % errors": 0.9,
    "+5 % errors": 0.99,
    "1.5 x, mixed": 0.9,
    "2 x, mixed": 0.99,
    "+5 % errors after 5 minutes": 0.8,
    "2 x latency, 2.5 a second": 0.9,
    "4 x latency, 2.5 a second": 0.99,
    "+5 % errors, 2.5 a second": 0.9,
    "2 x latency, clients leave": 0.99,
    "50 x latency, clients leave": 0.99,
    "50 x latency, 2.5 a second, clients leave": 0.99,
    "1.5 x latency, routers restart": 0.9,
    "+5 % errors after 5 minutes, routers restart": 0.8,
}
FALSE: Final = 0.01


def main() -> int:
    """The bench. Gives its exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.canary", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=10_000, help="for each effect")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--moods", type=float, default=OWN, help="how much each variant's slowness wanders by itself"
    )
    args = parser.parse_args()
    started = time.monotonic()
    tried = simulate(args.rollouts, args.workers, args.moods)
    say(f"  {args.rollouts:,} rollouts of {len(EFFECTS)} effects took {spoken(time.monotonic() - started)}")
    return report(tried)


def simulate(rollouts: int, workers: int, own: float = OWN) -> list[tuple[Seen, ...]]:
    """All rollouts, the n-th always the same."""
    if workers == 1:
        return [trial(seed, EFFECTS, own) for seed in range(rollouts)]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(trial, effects=EFFECTS, own=own), range(rollouts), chunksize=25))


def report(tried: Sequence[tuple[Seen, ...]]) -> int:
    """The table, the verdict and the line of JSON."""
    at = {effect.name: number for number, effect in enumerate(EFFECTS)}
    ours = {name: np.array([each[n].rejected for each in tried]) for name, n in at.items()}
    minutes = {name: _minutes(tried, n) for name, n in at.items()}
    requests = {name: np.array([each[n].requests for each in tried]) for name, n in at.items()}
    found = {"Pointsman": _all_figures(ours, requests)}
    rules = (FLAGGER, ARGO, *_tuned(ours, minutes))
    for rule in rules:
        rejected = {name: rule.rejected(each) for name, each in minutes.items()}
        found[rule.name] = _all_figures(rejected, requests)
    print(table(("", *(effect.name for effect in EFFECTS)), _rows(found)))
    print()
    return conclude(
        "canary",
        {
            "rollouts": len(tried),
            "candidate_samples": int(np.median(requests[NOTHING.name][:, LOOKS - 1])),
            "gates": {gate.key: [gate.margin, gate.limit] for gate in GATES},
            "found": found,
            "promotable": {name: _passed([each[n].passed for each in tried]) for name, n in at.items()},
            "thresholds": {rule.name: [_round(rule.success), _round(rule.slowest)] for rule in rules},
        },
        _targets(found["Pointsman"]),
        [],
    )


def _minutes(tried: Sequence[tuple[Seen, ...]], at: int) -> Minutes:
    seen = [each[at] for each in tried]
    return Minutes(np.array([each.success for each in seen]), np.array([each.slowest for each in seen]))


def _tuned(ours: dict[str, Numbers], minutes: dict[str, Minutes]) -> tuple[Rule, ...]:
    """The peers' rules, every minute, with thresholds by which they find as much as the product does.

    And with such by which they find nine of ten, which is the least that's wanted.
    """
    bad, slow = "+1 % errors", "1.5 x latency"
    same = (float(np.mean(ours[bad] > 0)), float(np.mean(ours[slow] > 0)))
    return tuple(
        tuned(f"{name}, tuned to {to}", rule.failures, minutes[bad], minutes[slow], wanted, LOOKS)
        for to, wanted in (("our power", same), ("90 %", (WANTED[bad], WANTED[slow])))
        for name, rule in (("Flagger", FLAGGER), ("Argo Rollouts", ARGO))
    )


def _all_figures(rejected: dict[str, Numbers], requests: dict[str, Numbers]) -> dict[str, dict[str, Any]]:
    return {
        effect.name: _figures(rejected[effect.name], requests[effect.name], effect.after)
        for effect in EFFECTS
    }


def _figures(rejected: Numbers, requests: Numbers, after: int) -> dict[str, Any]:
    within = (rejected > 0) & (rejected <= LOOKS)
    good = requests[:, after - 1] if after else np.zeros(len(requests), np.int64)
    exposed = np.array([requests[at, rejected[at] - 1] - good[at] for at in np.flatnonzero(rejected)])
    return {
        "rejected": _round(float(np.mean(within))),
        "ever": _round(float(np.mean(rejected > 0))),
        "within_two": _round(float(np.mean((rejected > 0) & (rejected <= after + 2)))),
        "exposed_median": int(np.median(exposed)) if exposed.size else None,
        "exposed_p90": int(np.percentile(exposed, 90)) if exposed.size else None,
    }


def _passed(looks: Sequence[int]) -> dict[str, Any]:
    known = [look for look in looks if look]
    return {
        "passed": _round(len(known) / len(looks)),
        "minutes_median": float(np.median(known)) if known else None,
    }


def _rows(found: dict[str, dict[str, dict[str, Any]]]) -> list[tuple[str, ...]]:
    return [(judge, *(_cell(figures) for figures in effects.values())) for judge, effects in found.items()]


def _cell(figures: dict[str, Any]) -> str:
    exposed = f" ({figures['exposed_median']:,})" if figures["exposed_median"] is not None else ""
    return f"{100 * figures['rejected']:.2f} %{exposed}"


def _targets(found: dict[str, dict[str, Any]]) -> list[Target]:
    return [
        *(
            Target(f"rejected: {name}", found[name]["rejected"], least, at_least=True)
            for name, least in WANTED.items()
        ),
        *(
            Target(f"rejected: {name}", figures["rejected"], FALSE)
            for name, figures in found.items()
            if name.startswith(NOTHING.name)
        ),
    ]


def _round(value: float) -> float | None:
    return float(f"{value:.4g}") if value < float("inf") else None


if __name__ == "__main__":
    raise SystemExit(main())
