"""Writes and reads container image archives, without a daemon and without root.

The same files in give the same digest out: entries are sorted and carry no time and no owner's name.
"""

from __future__ import annotations

import hashlib
import json
import platform
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
NAME = "io.containerd.image.name"
REFERENCE = "org.opencontainers.image.ref.name"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How a container of the image starts; the fields mean what their namesakes in a Dockerfile mean."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def document(self, layer_digest: str) -> dict[str, Any]:
        """The image configuration of the OCI specification; what is not set is left out."""
        settings = {
            "Env": [PATH, *(f"{key}={value}" for key, value in sorted(self.env.items()))],
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "User": self.user,
            "WorkingDir": self.working_dir,
            "Labels": dict(sorted(self.labels.items())),
        }
        return {
            "architecture": architecture(),
            "os": "linux",
            "config": {key: value for key, value in settings.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        }


def architecture(machine: str = "") -> str:
    """Go's name, which images use, for a machine as the kernel names it."""
    machine = machine or platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def write_archive(target: Path, name: str, config: ImageConfig, rootfs: Path) -> str:
    """Writes the image `name` (`registry/path:tag`) with the content of `rootfs` as its one layer.

    Owners and modes are those of the files. Returns the digest of the manifest.
    """
    layer_file = target.with_name(f".{target.name}.layer")
    try:
        layer = _write_layer(layer_file, rootfs)
        image_config = _blob(config.document(layer["digest"]), CONFIG)
        manifest = _blob(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": image_config[0], "layers": [layer]},
            MANIFEST,
        )
        listed = {
            **manifest[0],
            "platform": {"architecture": architecture(), "os": "linux"},
            "annotations": {NAME: name, REFERENCE: name.rpartition(":")[2]},
        }
        index = {"schemaVersion": 2, "manifests": [listed]}
        unfinished = target.with_name(f".{target.name}.unfinished")
        with tarfile.open(unfinished, "w") as archive:
            _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            _add(archive, "index.json", json.dumps(index).encode())
            for descriptor, content in (image_config, manifest):
                _add(archive, _blob_path(descriptor["digest"]), content)
            entry = tarfile.TarInfo(_blob_path(layer["digest"]))
            entry.size = layer["size"]
            with layer_file.open("rb") as content_file:
                archive.addfile(entry, content_file)
        unfinished.replace(target)
    finally:
        layer_file.unlink(missing_ok=True)
    return str(manifest[0]["digest"])


@dataclass(frozen=True, slots=True)
class Archive:
    """What an image archive says of itself, without its layers."""

    path: Path
    names: tuple[str, ...]
    manifest_digest: str
    """Of the only image in an OCI archive; empty for Docker's own format, which has none."""
    identity: str
    """A hash of the archive's table of contents: equal for equal images."""


def read_archive(path: Path) -> Archive:
    """Reads an OCI or a Docker image archive. Raises ValueError where it is neither."""
    try:
        with tarfile.open(path) as archive:
            index = _member(archive, "index.json")
            # Docker writes both tables; containerd goes by the first, and so does this.
            table = index or _member(archive, "manifest.json")
    except tarfile.TarError as error:
        raise ValueError(f"{path} is no image archive: {error}") from error
    if table is None:
        raise ValueError(f"{path} is no image archive: it has neither index.json nor manifest.json")
    identity = "sha256:" + hashlib.sha256(table).hexdigest()
    document = json.loads(table)
    if index is None:
        names = tuple(tag for image in document for tag in image.get("RepoTags") or ())
        return Archive(path, names, "", identity)
    manifests = document["manifests"]
    named = tuple(dict.fromkeys(_name_of(manifest) for manifest in manifests if _name_of(manifest)))
    digest = manifests[0]["digest"] if len(manifests) == 1 else ""
    return Archive(path, named, digest, identity)


def _name_of(manifest: Mapping[str, Any]) -> str:
    annotations = manifest.get("annotations") or {}
    name = str(annotations.get(NAME) or annotations.get(REFERENCE) or "")
    return name if "/" in name else ""  # a bare tag names nothing


def _member(archive: tarfile.TarFile, name: str) -> bytes | None:
    try:
        content = archive.extractfile(name)
    except KeyError:
        return None
    return content.read() if content else None


def _write_layer(target: Path, rootfs: Path) -> dict[str, Any]:
    def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as layer:
        for child in sorted(rootfs.iterdir()):
            layer.add(child, arcname=child.name, filter=anonymous)
    with target.open("rb") as content:
        return {"mediaType": LAYER, "digest": _digest(content), "size": target.stat().st_size}


def _digest(content: BufferedReader | BytesIO) -> str:
    return "sha256:" + hashlib.file_digest(content, "sha256").hexdigest()


def _blob(document: Mapping[str, Any], media_type: str) -> tuple[dict[str, Any], bytes]:
    """A descriptor, and the bytes that it describes."""
    content = json.dumps(document).encode()
    descriptor = {"mediaType": media_type, "digest": _digest(BytesIO(content)), "size": len(content)}
    return descriptor, content


def _blob_path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, BytesIO(content))
