"""Builds and pushes images with Docker (BuildKit), where it runs and a registry can be reached."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from e2e.cluster.instance import ClusterError
from e2e.images import catalogue
from e2e.images.catalogue import Image


@dataclass(frozen=True, slots=True)
class Docker:
    """The Docker that `docker` on PATH talks to."""

    secrets: tuple[str, ...] = ()

    def build(self, image: Image, name: str, arguments: Mapping[str, str]) -> None:
        """Builds an image as `name` from the repository's root; its output goes to ours."""
        command = ["build", f"--tag={name}", f"--file={image.dockerfile}", *self.secrets]
        command += [f"--build-arg={argument}={value}" for argument, value in arguments.items()]
        if image.target:
            command.append(f"--target={image.target}")
        self._run(*command, ".")

    def push(self, name: str) -> None:
        self._run("push", name)

    def _run(self, *arguments: str) -> None:
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        code = subprocess.run(["docker", *arguments], cwd=catalogue.ROOT, env=environment).returncode
        if code:
            raise ClusterError(f"docker {arguments[0]} failed with status {code}")


def available() -> bool:
    """Whether a Docker daemon answers."""
    if not shutil.which("docker"):
        return False
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0
