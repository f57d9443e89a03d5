"""Reads images out of buildah's storage as they were committed: uncompressed, and only the layers asked for.

`buildah push` compresses every layer again for each image, a minute for gigabytes that an archive leaves out
anyway. The storage keeps a layer's files unpacked, and beside them the rest of its tar stream (tar-split);
put together they have to give the layer's digest, which is checked.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster.instance import ClusterError

_FILE, _SEGMENT = 1, 2
_CHUNK = 4 << 20


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: digest and size of its uncompressed tar stream."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A committed image."""

    manifest: bytes
    config: bytes
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Storage:
    """A containers/storage folder with the overlay driver."""

    root: Path

    def image(self, name: str) -> Stored:
        """The image that has `name` (`registry/path:tag`). Raises ClusterError."""
        for image in _read(self.root / "overlay-images/images.json"):
            if name in (image.get("names") or ()):
                folder = self.root / "overlay-images" / image["id"]
                manifest = (folder / "manifest").read_bytes()
                described = json.loads(manifest)
                config = (folder / _file_name(described["config"]["digest"])).read_bytes()
                layers = tuple(Layer(layer["digest"], layer["size"]) for layer in described["layers"])
                return Stored(manifest, config, layers)
        raise ClusterError(f"{self.root} has no image {name}")

    def stream(self, layer: Layer) -> Iterator[bytes]:
        """The layer's tar stream. Raises ClusterError, at its end, where it isn't what was committed."""
        found = hashlib.sha256()
        for chunk in self._chunks(layer):
            found.update(chunk)
            yield chunk
        if f"sha256:{found.hexdigest()}" != layer.digest:
            raise ClusterError(f"{self.root} is damaged: layer {layer.digest} is another; delete that folder")

    def _chunks(self, layer: Layer) -> Iterator[bytes]:
        identity = self._identity(layer)
        files = self.root / "overlay" / identity / "diff"
        with gzip.open(self.root / "overlay-layers" / f"{identity}.tar-split.gz") as entries:
            for line in entries:
                entry = json.loads(line)
                if entry["type"] == _SEGMENT:
                    yield base64.b64decode(entry["payload"])
                elif entry["type"] == _FILE and entry.get("size"):
                    yield from _content(files / _name(entry), entry["size"])

    def _identity(self, layer: Layer) -> str:
        for known in _read(self.root / "overlay-layers/layers.json"):
            if known.get("diff-digest") == layer.digest:
                return str(known["id"])
        raise ClusterError(f"{self.root} has no layer {layer.digest}")


def _content(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while size > 0:
            chunk = file.read(min(_CHUNK, size))
            if not chunk:
                raise ClusterError(f"{path} is shorter than when it was committed")
            size -= len(chunk)
            yield chunk


def _name(entry: dict[str, Any]) -> str:
    """A path below the layer's files; bytes that aren't text come in base64."""
    if entry.get("name_raw"):
        return base64.b64decode(entry["name_raw"]).decode("utf-8", "surrogateescape").lstrip("/")
    return str(entry["name"]).lstrip("/")


def _file_name(key: str) -> str:
    """How the storage names a file for a key that isn't fit for a name."""
    return "=" + base64.b64encode(key.encode()).decode()


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise ClusterError(f"{path} can't be read: {error}") from error
