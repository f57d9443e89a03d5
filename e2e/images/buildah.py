"""Builds images with buildah, without Docker, a daemon or a registry.

What all images start from is made of Debian's packages. buildah's storage is the project's own, in the cache;
steps run in a chroot, since nothing that builds here is foreign.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.instance import ClusterError
from e2e.cluster.preflight import SEARCHED
from e2e.cluster.progress import say, spoken
from e2e.images import catalogue
from e2e.images.catalogue import Image

HEARTBEAT_S = 20.0
LOG_LINES = 40


@dataclass(frozen=True, slots=True)
class Buildah:
    """One storage. `log` receives what builds print."""

    storage: Path
    run: Path
    log: Path
    secrets: tuple[str, ...] = ()

    def tag(self, image: Image, key: str) -> str:
        """The name under which a build is kept."""
        return f"localhost/{image.name}:{key}"

    def has(self, name: str) -> bool:
        return (
            self._call("inspect", "--type=image", "--format={{.FromImageID}}", name, check=False).returncode
            == 0
        )

    def build(self, image: Image, key: str, arguments: Mapping[str, str]) -> None:
        """Builds an image from the repository's root. Raises ClusterError with the end of the log."""
        command = [
            *self._command(),
            "bud",
            "--isolation=chroot",
            "--network=host",
            "--pull-never",
            "--layers",
            "--format=oci",
        ]
        command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        command += self.secrets
        if image.target:
            command.append(f"--target={image.target}")
        command += [f"--tag={self.tag(image, key)}", f"--file={image.dockerfile}", "."]
        self._watched(image, command, catalogue.ROOT)

    def build_base(self, image: Image, key: str) -> None:
        """Makes the image that others start from out of Debian's packages."""
        with tempfile.TemporaryDirectory(dir=self.storage.parent) as scratch:
            archive = Path(scratch) / "base.tar"
            command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(catalogue.PACKAGES)}"]
            command += [f"--dpkgopt=path-exclude={pattern}" for pattern in catalogue.LEFT_OUT]
            command += ["--dpkgopt=path-include=/usr/share/doc/*/copyright", catalogue.SUITE, str(archive)]
            self._watched(image, command, Path(scratch))
            container = self._output("from", "scratch")
            self._output("add", "--quiet", container, str(archive), "/")
            self._output("config", "--cmd=python3", container)
            self._output("commit", "--quiet", "--rm", "--format=oci", container, self.tag(image, key))

    def forget(self, keep: Callable[[str], bool]) -> None:
        """Removes images that nobody wants any more, and what only they were made of."""
        listed = json.loads(self._output("images", "--json") or "[]")
        names = [name for image in listed for name in image.get("names") or ()]
        stale = [name for name in names if name.startswith("localhost/") and not keep(name)]
        if stale:
            self._call("rmi", *stale, check=False)
            self._call("rmi", "--prune", check=False)

    def _watched(self, image: Image, command: list[str], cwd: Path) -> None:
        """Runs what takes long; says now and then that it still does."""
        done = threading.Event()
        started = time.monotonic()

        def heartbeat() -> None:
            while not done.wait(HEARTBEAT_S):
                say(
                    f"    {image.name}: {spoken(time.monotonic() - started)} of about {spoken(image.seconds)}"
                )

        threading.Thread(target=heartbeat, daemon=True).start()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.log.open("wb") as log:
                code = subprocess.run(
                    command, cwd=cwd, env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                ).returncode
        finally:
            done.set()
        if code:
            end = "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES:])
            raise ClusterError(f"building {image.name} failed; the end of {self.log}:\n{end}")

    def _command(self) -> list[str]:
        return ["buildah", f"--root={self.storage}", f"--runroot={self.run}"]

    def _output(self, *arguments: str) -> str:
        return str(self._call(*arguments).stdout).strip()

    def _call(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self._command(), *arguments],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise ClusterError(f"buildah {' '.join(arguments)}: {done.stderr.strip()[-1500:]}")
        return done


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": SEARCHED, "BUILDAH_ISOLATION": "chroot"}
