"""Image archives for a cluster without a registry, built once and kept in the cache.

`archives(names)` is what others call: paths in the order in which a node has to import them. Where the inputs
of an image haven't changed its archive is there already, and no builder is needed at all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from e2e.cluster.instance import ClusterError, cache_root, locked
from e2e.cluster.preflight import IMAGE_PROGRAMS, ensure_programs
from e2e.cluster.progress import say, spoken
from e2e.images import catalogue, layout
from e2e.images.buildah import Buildah
from e2e.images.catalogue import LOCAL, Image
from e2e.images.settings import write_secrets
from e2e.images.storage import Storage

TORCH_INDEX = "POINTSMAN_TORCH_INDEX"
"""Variable that names an index with torch's CPU wheels."""

KEPT_S = 2 * 3600
"""How long an archive of earlier inputs stays: another working tree may just be loading it."""

DISK_PER_GIB = 2.5
"""An image lies in the builder's storage and in its archive, and what it's made of beside it for a while."""


def archives(names: Iterable[str] = (), environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Archives of the named images (none: all that clusters run), what they share first.

    Builds what isn't there. Raises ClusterError, and ValueError for an unknown name.
    """
    images = catalogue.wanted(names)
    arguments = _arguments(environment)
    keys = {image.name: catalogue.key(image, arguments) for image in images}
    folder = cache_root(environment) / "images"
    with locked(folder / "lock", "Another process is building images; waiting."):
        if any(not _archive(folder, image, keys).is_file() for image in images):
            _build(folder, images, keys, arguments, environment)
    return [_archive(folder, image, keys) for image in images]


def _arguments(environment: Mapping[str, str]) -> dict[str, str]:
    found = {"VERSION": catalogue.version()}
    if environment.get(TORCH_INDEX):
        found["TORCH_INDEX"] = environment[TORCH_INDEX]
    return found


def _archive(folder: Path, image: Image, keys: Mapping[str, str]) -> Path:
    return folder / "archives" / f"{image.name}-{keys[image.name]}.tar"


def _build(
    folder: Path,
    images: list[Image],
    keys: Mapping[str, str],
    arguments: Mapping[str, str],
    environment: Mapping[str, str],
) -> None:
    absent = [image for image in images if not _archive(folder, image, keys).is_file()]
    _check(folder, absent)
    estimate = spoken(sum(image.seconds for image in absent))
    say(f"Building images: {', '.join(image.name for image in absent)}; about {estimate}.")
    with tempfile.TemporaryDirectory() as scratch:
        builder = Buildah(
            folder / "storage",
            Path("/run/pointsman-images") / hashlib.sha256(str(folder).encode()).hexdigest()[:8],
            folder / "build.log",
            tuple(write_secrets(Path(scratch), environment)),
        )
        for image in absent:
            started = time.monotonic()
            _build_one(folder, builder, image, keys, arguments)
            size = _archive(folder, image, keys).stat().st_size / 1e6
            say(f"  {image.name} ({spoken(time.monotonic() - started)}, {size:.0f} MB)")
        _clean(folder, builder, keys)


def _build_one(
    folder: Path, builder: Buildah, image: Image, keys: Mapping[str, str], arguments: Mapping[str, str]
) -> None:
    """Builds an image and what it's built upon, unless the storage has it, and writes its archive."""
    parents = {argument: catalogue.IMAGES[name] for argument, name in image.parents.items()}
    for parent in parents.values():
        if not builder.has(builder.tag(parent, keys[parent.name])):
            _build_one(folder, builder, parent, keys, arguments)
    tags = {argument: builder.tag(parent, keys[parent.name]) for argument, parent in parents.items()}
    kept = builder.tag(image, keys[image.name])
    if not builder.has(kept):
        given = {name: value for name, value in arguments.items() if name in image.arguments}
        if image.dockerfile:
            builder.build(image, keys[image.name], {**given, **tags})
        else:
            builder.build_base(image, keys[image.name])
    storage = Storage(builder.storage)
    shared = {layer.digest for tag in tags.values() for layer in storage.image(tag).layers}
    target = _archive(folder, image, keys)
    target.parent.mkdir(parents=True, exist_ok=True)
    layout.write_archive(storage, storage.image(kept), public_name(image, keys), target, shared)


def public_name(image: Image, keys: Mapping[str, str]) -> str:
    """The name in the cluster; the tag is the version, or the key for what only others build upon."""
    tag = catalogue.version() if image.published else keys[image.name]
    return f"{LOCAL}/{image.name}:{tag}"


def _check(folder: Path, absent: list[Image]) -> None:
    if os.geteuid() != 0:
        raise ClusterError("building images without Docker needs root: buildah's chroot and mmdebstrap do")
    ensure_programs(IMAGE_PROGRAMS)
    folder.mkdir(parents=True, exist_ok=True)
    needed = sum(image.gib for image in absent) * DISK_PER_GIB
    free = shutil.disk_usage(folder).free / 2**30
    if free < needed:
        raise ClusterError(f"{folder} has {free:.1f} GiB free; building these images takes {needed:.1f} GiB")


def _clean(folder: Path, builder: Buildah, keys: Mapping[str, str]) -> None:
    """Drops builds and archives of earlier inputs of the images just built; others stay as they are."""
    current = {f"localhost/{name}:{key}" for name, key in keys.items()}

    def keep(tag: str) -> bool:
        name = tag.removeprefix("localhost/").partition(":")[0]
        return name not in keys or tag in current

    builder.forget(keep)
    for path in (folder / "archives").glob("*.tar"):
        name, _, key = path.stem.rpartition("-")
        old = time.time() - path.stat().st_mtime > KEPT_S
        if name in keys and keys[name] != key and old:
            path.unlink()
