"""`python serving-image/build.py`: builds images, pushes them, or writes archives of them."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster.instance import ClusterError
from e2e.cluster.progress import say
from e2e.images import archives, catalogue, docker
from e2e.images.catalogue import LOCAL
from e2e.images.settings import write_secrets


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command and exits; without one, builds everything."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "build")
    arguments = _parser().parse_args(words)
    try:
        if arguments.command == "archive":
            write_archives(arguments.folder, arguments.names)
        elif arguments.command == "list":
            list_images()
        else:
            build(arguments.names, arguments.registry)
    except (ClusterError, ValueError) as error:
        sys.exit(f"{error}")


def build(names: Sequence[str], registry: str) -> None:
    """With Docker, builds images there and pushes them to `registry`; without it, builds archives."""
    if not docker.available():
        if registry:
            raise ClusterError("pushing to a registry needs Docker, and no Docker daemon answers")
        for path in archives.archives(names):
            say(f"  {path}")
        return
    known = {**catalogue.IMAGES, catalogue.GPU.name: catalogue.GPU}
    # The base is the one that the Dockerfiles name, or BASE; it isn't ours to build here.
    images = [image for image in catalogue.wanted(names, known) if image.dockerfile]
    prefix, version = registry.rstrip("/") or LOCAL, catalogue.version()
    with tempfile.TemporaryDirectory() as scratch:
        builder = docker.Docker(tuple(write_secrets(Path(scratch), os.environ)))
        for image in images:
            parents = {
                argument: f"{prefix}/{parent}:{version}"
                for argument, parent in image.parents.items()
                if catalogue.IMAGES[parent].dockerfile
            }
            given = {**_given(image), **parents}
            builder.build(image, f"{prefix}/{image.name}:{version}", given)
        if registry:
            for image in images:
                if image.published:
                    builder.push(f"{prefix}/{image.name}:{version}")


def _given(image: catalogue.Image) -> dict[str, str]:
    """Build arguments: the version, and what the environment says of base images and torch's index."""
    known = {
        "VERSION": catalogue.version(),
        "BASE": os.environ.get("BASE", ""),
        "VLLM_IMAGE": os.environ.get("VLLM_IMAGE", ""),
        "TORCH_INDEX": os.environ.get(archives.TORCH_INDEX, ""),
    }
    takes = {*image.arguments, *image.parents}
    return {name: value for name, value in known.items() if value and name in takes}


def write_archives(folder: Path, names: Sequence[str]) -> None:
    """Puts archives into `folder`, numbered in the order in which a node has to import them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(archives.archives(names)):
        target = folder / f"{number:02d}-{source.name}"
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copyfile(source, target)
        print(target)


def list_images() -> None:
    """Prints every image, and what it's built upon."""
    for image in (*catalogue.IMAGES.values(), catalogue.GPU):
        upon = ", ".join(image.parents.values())
        print(f"{image.name:16} {image.dockerfile}" + (f" (upon {upon})" if upon else ""))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="serving-image/build.py", description="Builds Pointsman's images.")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build (and push) images; the default")
    building.add_argument("--registry", default="", help="host/path to push to; the images are named so")
    building.add_argument("names", nargs="*", help="images; default: all that clusters run")
    archiving = commands.add_parser("archive", help="write OCI archives for a cluster without a registry")
    archiving.add_argument("folder", type=Path)
    archiving.add_argument("names", nargs="*")
    commands.add_parser("list", help="list the images")
    return parser
