"""Writes image archives that a node imports, each layer in one archive only.

Images of one family share gigabytes. The archive of what they are built upon carries those; the others carry
what is new, so that a changed entrypoint is imported in a second. Hence the order of a list of archives has
to be kept when a node imports them.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path

from e2e.cluster.instance import ClusterError
from e2e.images.storage import Layer, Storage, Stored

NAME = "io.containerd.image.name"
REFERENCE = "org.opencontainers.image.ref.name"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def write_archive(
    storage: Storage, image: Stored, name: str, target: Path, without: Collection[str] = ()
) -> None:
    """Writes an OCI archive of `image` as `name`, but for the layers whose digests are in `without`."""
    digest = _digest(image.manifest)
    listed = {
        "mediaType": MANIFEST,
        "digest": digest,
        "size": len(image.manifest),
        "annotations": {NAME: name, REFERENCE: name},
    }
    index = json.dumps({"schemaVersion": 2, "manifests": [listed]}).encode()
    unfinished = target.with_name(f".{target.name}.unfinished")
    with unfinished.open("wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(archive, "index.json", index)
        for blob in (image.manifest, image.config):
            _add(archive, _path(_digest(blob)), blob)
        for layer in image.layers:
            if layer.digest not in without:
                _add_layer(archive, storage, layer)
    unfinished.replace(target)


def _add_layer(archive: tarfile.TarFile, storage: Storage, layer: Layer) -> None:
    entry = tarfile.TarInfo(_path(layer.digest))
    entry.size = layer.size
    chunks = storage.stream(layer)
    archive.addfile(entry, _Reader(chunks))
    if next(chunks, b""):  # also makes the stream check its digest, which it does at its end
        raise ClusterError(f"layer {layer.digest} is longer than its manifest says")


class _Reader(io.RawIOBase):
    """Chunks as the file that tarfile wants to read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        parts = []
        while size > 0:
            if not self._rest:
                self._rest = memoryview(next(self._chunks, b""))
                if not self._rest:
                    break
            parts.append(bytes(self._rest[:size]))
            self._rest = self._rest[size:]
            size -= len(parts[-1])
        return b"".join(parts)


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
