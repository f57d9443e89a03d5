"""`make lint-manifests`: kube-score's opinion of the chart and of every child the operator makes.

What it finds is mended, or accepted in tests/readings/lint/accepted.yaml, where each exception says why.
kube-score stands in for kube-linter and kubescape: neither can be had as a package, since the Go module proxy
refuses them. It is a Go module itself, built like the cluster's parts, the first time it is asked for.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from bench.result import conclude
from e2e.cluster import ClusterError, gobuild
from e2e.cluster.instance import cache_root
from e2e.cluster.parts import Part
from tests.readings.rendered import Manifest, everything

FOLDER: Final = Path(__file__).resolve().parent / "lint"
KUBERNETES: Final = "v1.34"
KUBE_SCORE: Final = Part(
    "kube-score", "kube-score", FOLDER, {"kube-score": "github.com/zegl/kube-score/cmd/kube-score"}
)
PASSED: Final = 10
NOT_LINTED: Final = {"CustomResourceDefinition", "ControllerRevision"}
"""Kinds that hold schemas and templates, and run nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that kube-score would have otherwise."""

    check: str
    says: str
    kind: str
    container: str
    where: str
    """The manifest it is about, for people."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Findings that stay as they are, and why."""

    check: str
    objects: tuple[str, ...]
    reason: str
    says: str = ""

    def covers(self, found: Finding) -> bool:
        """Whether a finding is one of these."""
        return (
            self.check == found.check
            and self.says in ("", found.says)
            and bool({found.kind, f"{found.kind}/{found.container}"} & set(self.objects))
        )


def accepted() -> list[Acceptance]:
    """What lint/accepted.yaml says."""
    rows: list[dict[str, Any]] = yaml.safe_load((FOLDER / "accepted.yaml").read_text())
    return [Acceptance(**{**row, "objects": tuple(row["objects"])}) for row in rows]


def findings(manifests: Sequence[Manifest], where: str) -> list[Finding]:
    """What kube-score finds in manifests that are used together: it looks for budgets and policies too."""
    program = gobuild.ensure([KUBE_SCORE], cache_root())["kube-score"]
    looked_at = [dict(one) for one in manifests if one["kind"] not in NOT_LINTED]
    done = subprocess.run(
        [program, "score", "--output-format=json", f"--kubernetes-version={KUBERNETES}", "-"],
        input=yaml.safe_dump_all(looked_at),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    try:
        return [found for each in json.loads(done.stdout) or () for found in _of(each, where)]
    except ValueError:
        raise ClusterError(f"kube-score: {done.stderr or done.stdout}") from None


def _of(scored: Mapping[str, Any], where: str) -> Iterable[Finding]:
    kind, name = scored["type_meta"]["kind"], scored["object_meta"]["name"]
    for check in scored["checks"]:
        if check["skipped"] or check["grade"] >= PASSED:
            continue
        for comment in check["comments"] or [{"path": "", "summary": check["check"]["name"]}]:
            place = f"{where}: {kind} {name} {comment['path']}".strip()
            yield Finding(check["check"]["id"], comment["summary"], kind, comment["path"], place)


def lint() -> tuple[int, list[str]]:
    """How many manifests were looked at, and what is wrong: findings, and acceptances that nothing needs."""
    rendered, rows = asyncio.run(everything()), accepted()
    found = [one for where, manifests in rendered.items() for one in findings(manifests, where)]
    problems = [
        f"{one.where}: {one.says} ({one.check})" for one in found if not any(r.covers(one) for r in rows)
    ]
    problems += [
        f"lint/accepted.yaml: {row.check} {row.says}: nothing has it any more".replace("  ", " ")
        for row in rows
        if not any(row.covers(one) for one in found)
    ]
    return sum(len(manifests) for manifests in rendered.values()), problems


def main() -> int:
    """Prints what is wrong; 0 when nothing is."""
    count, problems = lint()
    figures = {"manifests": count, "accepted": len(accepted()), "findings": len(problems)}
    return conclude("lint-manifests", figures, [], problems)


if __name__ == "__main__":
    sys.exit(main())
