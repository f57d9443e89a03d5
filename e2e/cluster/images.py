"""The node's image store: what is in it, and bringing archives into it.

Talks to the node's containerd through ctr, given its socket. Nothing is ever pulled: an image that pods are
to use is loaded first.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import oci
from e2e.cluster.instance import ClusterError
from e2e.cluster.node_config import SANDBOX_IMAGE
from e2e.cluster.oci import Archive, ImageConfig

LABEL = "pointsman.dev/archive"
"""Says which archive an image came from, and as which digest: Docker's archives name no digest themselves."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    digest: str
    labels: Mapping[str, str]

    def came_from(self, archive: Archive) -> bool:
        """Whether loading `archive` again would change nothing."""
        if archive.manifest_digest:
            return self.digest == archive.manifest_digest
        return self.labels.get(LABEL) == _origin(archive, self.digest)


def parse_listing(text: str) -> dict[str, StoredImage]:
    """The images in the output of `ctr images list`, by name."""
    stored = {}
    for line in text.splitlines():
        digest = re.search(r"\bsha256:[0-9a-f]{64}\b", line)
        if digest is None:  # the heading
            continue
        last = line.split()[-1]
        labels = dict(pair.split("=", 1) for pair in last.split(",") if "=" in pair)
        stored[line.split()[0]] = StoredImage(digest.group(0), labels)
    return stored


def to_load(archives: Iterable[Archive], stored: Mapping[str, StoredImage]) -> list[Archive]:
    """Those of `archives` that the store has not got as they are."""
    return [
        archive
        for archive in archives
        if not archive.names
        or not all(name in stored and stored[name].came_from(archive) for name in archive.names)
    ]


@dataclass(frozen=True, slots=True)
class ImageStore:
    """The images of the containerd that listens on `socket`, as Kubernetes sees them."""

    ctr: Path
    socket: Path

    def images(self) -> dict[str, StoredImage]:
        """All images by name. An image has further names, by digest, that Kubernetes gives it: left out."""
        listing = parse_listing(self._run("images", "list"))
        return {name: image for name, image in listing.items() if not _is_digest_name(name)}

    def load(self, paths: Iterable[Path]) -> list[str]:
        """Brings image archives in, but for those that are already there; returns the names that were new."""
        try:
            archives = [oci.read_archive(path) for path in paths]
        except ValueError as error:
            raise ClusterError(str(error)) from error
        unnamed = [str(archive.path) for archive in archives if not archive.names]
        if unnamed:
            raise ClusterError(f"these archives hold images without a name: {', '.join(unnamed)}")
        return [name for archive in to_load(archives, self.images()) for name in self._load(archive)]

    def _load(self, archive: Archive) -> tuple[str, ...]:
        self._run("images", "import", str(archive.path.resolve()))
        stored = self.images()
        for name in archive.names:
            if name not in stored:
                raise ClusterError(
                    f"{archive.path} was imported, but there is no image {name}: {sorted(stored)}"
                )
            if not archive.manifest_digest:
                self._run("images", "label", name, f"{LABEL}={_origin(archive, stored[name].digest)}")
        return archive.names

    def _run(self, *arguments: str) -> str:
        command = [str(self.ctr), f"--address={self.socket}", "--namespace=k8s.io", *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise ClusterError(f"ctr {' '.join(arguments)}: {(done.stderr or done.stdout).strip()[-1500:]}")
        return done.stdout


def sandbox_archive(pause: Path, folder: Path) -> Path:
    """The image of the process that holds a pod together, made from the command `pause` once."""
    archive = folder / "pause.tar"
    if not archive.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as rootfs:
            copy = Path(rootfs) / "pause"
            copy.write_bytes(pause.read_bytes())
            copy.chmod(0o755)
            oci.write_archive(
                archive, SANDBOX_IMAGE, ImageConfig(entrypoint=("/pause",), user="65535:65535"), Path(rootfs)
            )
    return archive


def _origin(archive: Archive, digest: str) -> str:
    return f"{archive.identity}@{digest}"


def _is_digest_name(name: str) -> bool:
    return name.startswith("sha256:") or "@sha256:" in name
