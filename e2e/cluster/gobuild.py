"""Builds parts with Go, and keeps what was built under a hash of its inputs.

A folder that exists in the cache is complete: it is filled under another name, under a lock, and renamed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster.gomodule import kubernetes_module
from e2e.cluster.instance import ClusterError, locked
from e2e.cluster.parts import GO_RELEASE, TOOLS, Part, default_kubernetes_version
from e2e.cluster.progress import remaining_s, say, spoken

TOOLCHAIN = f"{GO_RELEASE}.8"
DISK_NEEDED_GIB = 9
"""Sources, Go's own build cache and the commands: what a cold build of everything takes, and some."""
REPORT_EVERY_S = 15.0


def folder_of(part: Part, cache: Path) -> Path:
    return cache / "parts" / f"{part.name}-{part.key()}"


def missing(parts: Sequence[Part], cache: Path) -> list[Part]:
    """Those of `parts` that would have to be built."""
    return [part for part in parts if not folder_of(part, cache).is_dir()]


def ensure(parts: Sequence[Part], cache: Path) -> dict[str, Path]:
    """Where each command of `parts` lies, built first where it has to be."""
    absent = missing(parts, cache)
    if absent:
        _check_disk(cache)
        say(f"To build, once: {'; '.join(part.title for part in absent)}.")
    for part in absent:
        with locked(
            cache / "parts" / f"{part.name}.lock", f"Another process is building {part.title}; waiting."
        ):
            if not folder_of(part, cache).is_dir():
                _build(part, cache)
    return {name: folder_of(part, cache) / name for part in parts for name in part.packages}


def kubernetes_module_folder(version: str, cache: Path) -> Path:
    """A folder whose go.mod builds Kubernetes `version`: the committed one, or one made here for another."""
    committed = TOOLS / "kubernetes"
    if version == default_kubernetes_version((committed / "go.mod").read_text()):
        return committed
    folder = cache / "modules" / f"kubernetes-{version}"
    with locked(cache / "modules" / "kubernetes.lock", "Another process is preparing Kubernetes; waiting."):
        if not (folder / "go.sum").is_file():
            _make_kubernetes_module(version, folder)
    return folder


def go_environment(folder: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which `go` is the release that builds these parts.

    Raises ClusterError when it is neither installed nor to be had from the module proxy.
    """
    if not shutil.which("go", path=environ.get("PATH", "")):
        raise ClusterError(
            f"Go {GO_RELEASE[2:]} is needed to build the bare cluster, and `go` is not on PATH. " + OTHER_WAYS
        )
    plain = {**environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    seen = _go_version(folder, plain)
    if seen.startswith(GO_RELEASE):
        return plain
    chosen = {**plain, "GOTOOLCHAIN": TOOLCHAIN}  # Go fetches a toolchain as a module, where it may
    if _go_version(folder, chosen).startswith(GO_RELEASE):
        return chosen
    raise ClusterError(
        f"Go {GO_RELEASE[2:]} is needed to build the bare cluster; `go` here is {seen or 'unusable'}, "
        f"and {TOOLCHAIN} could not be had as a toolchain. " + OTHER_WAYS
    )


OTHER_WAYS = (
    "Other ways: name a cluster you have (make cluster CONTEXT=name), or install Docker and kind; "
    "for the control plane alone, KUBEBUILDER_ASSETS may name a folder with etcd, kube-apiserver and kubectl."
)


def _go_version(folder: Path, environ: Mapping[str, str]) -> str:
    asked = subprocess.run(
        ["go", "env", "GOVERSION"], cwd=folder, env=environ, capture_output=True, text=True
    )
    return asked.stdout.strip()


def _check_disk(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free / 2**30
    if free < DISK_NEEDED_GIB:
        raise ClusterError(
            f"{cache} has {free:.1f} GiB free; building the bare cluster takes {DISK_NEEDED_GIB} GiB. "
            "Free some, or point XDG_CACHE_HOME (and Go's GOCACHE) to a larger disk."
        )


def _make_kubernetes_module(version: str, folder: Path) -> None:
    temporary = folder.with_name(f".making-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    environ = go_environment(temporary)
    say(f"Resolving the modules of Kubernetes {version} (1 to 2 minutes the first time).")
    command = ["go", "mod", "download", "-json", f"k8s.io/kubernetes@v{version}"]
    answer = subprocess.run(command, cwd=temporary, env=environ, capture_output=True, text=True)
    if answer.returncode:
        told = json.loads(answer.stdout or "{}").get("Error", answer.stderr.strip())
        raise ClusterError(f"Kubernetes {version} cannot be had as a Go module: {told}")
    upstream = Path(json.loads(answer.stdout)["GoMod"]).read_text()
    (temporary / "go.mod").write_text(kubernetes_module(version, upstream))
    tidy = subprocess.run(["go", "mod", "tidy"], cwd=temporary, env=environ, capture_output=True, text=True)
    if tidy.returncode:
        raise ClusterError(f"the modules of Kubernetes {version} do not resolve:\n{tidy.stderr[-2000:]}")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def _build(part: Part, cache: Path) -> None:
    environ = go_environment(part.module)
    target = folder_of(part, cache)
    for leftover in target.parent.glob(f".building-{part.name}-*"):  # ours alone: the lock is held
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = target.with_name(f".building-{target.name}")
    temporary.mkdir(parents=True)
    started = time.monotonic()
    _compile(part, temporary, environ)
    for name, package in part.packages.items():
        (temporary / _file_name(package)).rename(temporary / name)
    temporary.rename(target)
    say(f"  built {part.title} ({spoken(time.monotonic() - started)})")


def _file_name(package: str) -> str:
    """What `go build` calls the command of `package`: its last element that is no major version."""
    return [element for element in package.split("/") if not re.fullmatch(r"v\d+", element)][-1]


@dataclass(slots=True)
class _Watch:
    """Reads what `go build -v` says, and reports how far it is."""

    title: str
    total: int
    cores: int
    started: float = field(default_factory=time.monotonic)
    reported: float = 0.0
    compiled: int = 0
    errors: list[str] = field(default_factory=list)

    def line(self, text: str) -> None:
        if text.startswith("go: downloading"):
            pass
        elif re.fullmatch(r"[\w.~-]+(/[\w.~-]+)*", text):
            self.compiled += 1
        else:
            self.errors.append(text)
        now = time.monotonic()
        if now - max(self.reported, self.started) >= REPORT_EVERY_S:
            self.reported = now
            self._report(now - self.started)

    def _report(self, elapsed: float) -> None:
        left = remaining_s(self.compiled, self.total, elapsed, self.cores)
        say(
            f"  building {self.title}: {self.compiled} of {self.total} packages, "
            f"{spoken(elapsed)} so far, about {spoken(left)} left"
        )


def _compile(part: Part, target: Path, environ: Mapping[str, str]) -> None:
    packages = list(part.packages.values())
    cores = os.cpu_count() or 1
    say(f"  {part.title}: fetching what its sources lack")
    watch = _Watch(part.title, _stale_packages(part, environ), cores)
    estimate = spoken(remaining_s(0, watch.total, 0, cores))
    say(f"  building {part.title}: {watch.total} packages, about {estimate}")
    command = ["go", "build", "-v", "-p", str(cores), "-trimpath", "-ldflags", part.link_flags]
    with subprocess.Popen(
        [*command, "-o", f"{target}{os.sep}", *packages],
        cwd=part.module,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as go:
        assert go.stderr is not None
        try:
            for text in go.stderr:
                watch.line(text.rstrip("\n"))
        except BaseException:
            go.terminate()  # leaving the block would wait for the whole build
            raise
    if go.returncode:
        told = "\n".join(watch.errors[-30:])
        raise ClusterError(f"building {part.title} failed:\n{told}")


def _stale_packages(part: Part, environ: Mapping[str, str]) -> int:
    """How many packages Go will compile; this also downloads the sources."""
    command = ["go", "list", "-trimpath", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"]
    listing = subprocess.run(
        [*command, *part.packages.values()],
        cwd=part.module,
        env=dict(environ),
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        raise ClusterError(f"the sources of {part.title} cannot be had:\n{listing.stderr[-2000:]}")
    return len(listing.stdout.split())
