"""The tools that read status, each by its own code: what words they find for an object.

kstatus and what Flux has are Go packages, in one program that is built like the cluster's parts. Argo CD
runs our Lua script in a Lua of the version it has itself. Helm is Helm, as a library. kubectl is kubectl.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import helm_python
import lupa.lua51

from e2e.cluster import ClusterError, Kubectl, gobuild
from e2e.cluster.instance import cache_root
from e2e.cluster.parts import Part
from tests.readings.meaning import Tool

HERE: Final = Path(__file__).resolve().parent
HEALTH: Final = HERE.parents[1] / "docs/gitops/argocd-health.lua"
CHART: Final = HERE / "chart"
HELM_PATIENCE_S: Final = (8, 60)
"""Seconds that Helm waits. Its word is the status that it saw last, so this only has to exceed the time it
takes to see one; where it doesn't, on a busy machine, the second try will."""

KSTATUS: Final = Part(
    "kstatus",
    "kstatus and Flux's fork",
    HERE / "kstatus",
    {"kstatus": "pointsman.dev/tests/readings/kstatus"},
)

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Word:
    """What a tool said: the word that decides, and its explanation."""

    word: str
    told: str = ""


def kstatus(objects: Sequence[Object]) -> list[dict[Tool, Word]]:
    """What kstatus' own package and Flux's fork of it make of each object."""
    packages = {"kstatus": Tool.KSTATUS, "flux": Tool.FLUX}
    return [
        {tool: Word(line[name]["status"], line[name]["message"]) for name, tool in packages.items()}
        for line in _run_kstatus(objects)
    ]


def expressions(objects: Sequence[Object], exprs: Mapping[str, str]) -> list[str]:
    """What Flux's own evaluator of healthCheckExprs makes of each object: a word of kstatus."""
    flags = {"current": "-current", "inProgress": "-in-progress", "failed": "-failed"}
    given = [f"{flag}={exprs[name]}" for name, flag in flags.items()]
    return [line["expressions"]["status"] for line in _run_kstatus(objects, *given)]


def _run_kstatus(objects: Sequence[Object], *arguments: str) -> list[dict[str, dict[str, str]]]:
    """Runs the program, built first where it has to be. ClusterError has its words when it fails."""
    program = gobuild.ensure([KSTATUS], cache_root())["kstatus"]
    done = subprocess.run(
        [program, *arguments],
        input="\n".join(json.dumps(each) for each in objects),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise ClusterError(f"kstatus: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def argo(found: Object) -> Word:
    """The health that Argo CD shows, by its own rules around the script."""
    # Argo CD asks no script about what is being deleted (gitops-engine, pkg/health/health.go).
    if found["metadata"].get("deletionTimestamp"):
        return Word("Progressing", "Pending deletion")
    return script(found)


def script(found: Object) -> Word:
    """What docs/gitops/argocd-health.lua returns for an object, as a table of status and message."""
    lua = lupa.lua51.LuaRuntime(unpack_returned_tuples=True)
    run = lua.eval(
        "function(source, obj) local f = loadstring(source); setfenv(f, {obj = obj, ipairs = ipairs}) "
        "return f() end"
    )
    answer = run(_source(), lua.table_from(found, recursive=True))
    return Word(answer["status"], answer["message"])


_WITHIN: Final = """
function(source, obj)
  local script = loadstring(source)
  setfenv(script, {obj = obj, ipairs = ipairs, pairs = pairs, string = string, table = table})
  return script()
end
"""
"""Runs a script with what Argo CD's sandbox leaves of the standard library, as far as scripts need it."""


@cache
def _source() -> str:
    return HEALTH.read_text()


def waits(kubectl: Kubectl, namespace: str, target: str, condition: str) -> Word:
    """Whether `kubectl wait --for=condition=…` returns now; without patience, so that it looks only once."""
    done = kubectl.try_run(
        "wait", f"--for=condition={condition}", "--timeout=0", f"--namespace={namespace}", target
    )
    if done.returncode and "condition not met" not in done.stderr:
        raise ClusterError(f"kubectl wait {target}: {done.stderr}")
    return Word("waits" if done.returncode else "returns", done.stderr.strip())


@dataclass(frozen=True, slots=True)
class Release:
    """One object as a Helm release of its own."""

    kubeconfig: Path
    namespace: str
    name: str

    def put(self, manifest: Object, *, anew: bool) -> None:
        """Installs it, or upgrades it to this manifest, and waits for nothing."""
        with self._config() as config:
            action = config.install if anew else config.upgrade
            action(CHART, self.name, {"object": manifest}, namespace=self.namespace, wait="hookOnly")

    def wait(self, manifest: Object) -> Word:
        """What becomes of `helm upgrade --wait` while the object is as it is."""
        for patience in HELM_PATIENCE_S:
            word = self._wait(manifest, patience)
            if not word.word.endswith("Unknown"):
                break
        return word

    def _wait(self, manifest: Object, patience: int) -> Word:
        try:
            with self._config() as config:
                config.upgrade(
                    CHART,
                    self.name,
                    {"object": manifest},
                    namespace=self.namespace,
                    wait="watcher",
                    timeout=patience,
                )
        except helm_python.HelmError as error:
            return _word(str(error))
        return Word("deployed")

    def _config(self) -> helm_python.Config:
        return helm_python.Config(kubeconfig_path=self.kubeconfig, namespace=self.namespace)


def _word(error: str) -> Word:
    """Helm's own account of a wait that didn't end well."""
    seen = re.search(r"not ready\. status: (\w+)", error)
    if seen is None:
        raise ClusterError(f"helm upgrade --wait: {error}")
    how = "timed out" if "deadline exceeded" in error else "gave up"
    return Word(f"{how}, {seen.group(1)}", error)
