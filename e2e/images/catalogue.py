"""Which images there are, what each is made of, and the key under which its build is kept.

Pure but for reading the files that go into an image. How they are built is docker.py's and buildah.py's.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LOCAL = "pointsman.local"
"""What stands in front of an image's name where there's no registry."""

SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates", "libnuma1")
"""What images need of Debian: its own Python 3.11, and a library that vLLM is linked against."""

LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_IGNORED = ("*/__pycache__/*", "*.pyc")


@dataclass(frozen=True, slots=True)
class Image:
    """One image. `inputs` are files and folders of the repository; `parents` go in as build arguments."""

    name: str
    dockerfile: str
    inputs: tuple[str, ...]
    target: str = ""
    arguments: tuple[str, ...] = ("VERSION",)
    """Build arguments that it takes."""
    parents: Mapping[str, str] = field(default_factory=dict)
    """Build argument -> the image of this catalogue that it names."""
    seconds: int = 30
    """What a build takes on two cores, for an estimate."""
    gib: float = 0.3
    published: bool = True
    """Whether clusters run it; others are only built upon."""


_SCRIPTS = "serving-image/scripts"
_ENGINE = ("serving-image/engine/pointsman_engine", "serving-image/engine/pointsman-engine")
_CPU = "serving-image/engine/Dockerfile.cpu"
_ROUTER = "serving-image/router/Dockerfile"
_OPERATOR = "serving-image/operator/Dockerfile"

IMAGES = {
    image.name: image
    for image in (
        # Made of Debian's packages. With a registry the Dockerfiles' own base is pulled instead.
        Image("base", "", (), arguments=(), seconds=45, gib=0.2, published=False),
        Image(
            "vllm-cpu",
            _CPU,
            (_SCRIPTS, "serving-image/engine/build", "serving-image/engine/prepare"),
            target="vllm",
            arguments=("TORCH_INDEX",),
            parents={"BASE": "base"},
            seconds=240,
            gib=2.7,
            published=False,
        ),
        Image(
            "vllm-cpu-models",
            "e2e/models/Dockerfile",
            ("e2e/models",),
            arguments=(),
            parents={"VLLM": "vllm-cpu"},
            seconds=60,
            gib=0.3,
            published=False,
        ),
        Image(
            "engine-cpu",
            _CPU,
            _ENGINE,
            target="engine",
            parents={"PARENT": "vllm-cpu"},
            seconds=15,
            gib=0,
        ),
        Image(
            "demo-engine",
            _CPU,
            _ENGINE,
            target="engine",
            parents={"PARENT": "vllm-cpu-models"},
            seconds=15,
            gib=0,
        ),
        Image(
            "router-libraries",
            _ROUTER,
            (_SCRIPTS, "locks/router.lock"),
            target="libraries",
            arguments=(),
            parents={"BASE": "base"},
            gib=0.1,
            published=False,
        ),
        Image(
            "router",
            _ROUTER,
            ("serving-image/router/pointsman-router", "serving-image/router/pointsman_router"),
            target="router",
            parents={"PARENT": "router-libraries"},
            seconds=5,
            gib=0,
        ),
        Image(
            "scripted-engine",
            "e2e/scripted/Dockerfile",
            (*_ENGINE, "e2e/scripted", "tests/engine/hub_server.py", "tests/engine/models.py"),
            parents={"PARENT": "operator-libraries"},
            seconds=5,
            gib=0,
        ),
        Image(
            "operator-libraries",
            _OPERATOR,
            (_SCRIPTS, "locks/operator.lock"),
            target="libraries",
            arguments=(),
            parents={"BASE": "base"},
            seconds=45,
            gib=0.2,
            published=False,
        ),
        Image(
            "operator",
            _OPERATOR,
            (
                "serving-image/operator/pointsman-operator",
                "serving-image/router/pointsman_router",
                *_ENGINE,
                "serving-image/trial/pointsman_trial",
                "serving-image/trial/pointsman-trial",
                "operator/pointsman",
            ),
            target="operator",
            parents={"PARENT": "operator-libraries"},
            seconds=5,
            gib=0,
        ),
    )
}

GPU = Image(
    "engine-cuda",
    "serving-image/engine/Dockerfile.gpu",
    (_SCRIPTS, *_ENGINE),
    arguments=("VERSION", "VLLM_IMAGE"),
    seconds=600,
    gib=12,
)
"""Only where its upstream image can be pulled."""


def version(root: Path = ROOT) -> str:
    """The project's version, which is the images' tag."""
    text = (root / "operator/pointsman/__init__.py").read_text()
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if not found:
        raise ValueError("operator/pointsman/__init__.py names no __version__")
    return found.group(1)


def wanted(names: Iterable[str], catalogue: Mapping[str, Image] = IMAGES) -> list[Image]:
    """The named images (all published ones if none is named) with what they are built upon, parents first.

    Raises ValueError for a name that isn't there.
    """
    ordered: dict[str, Image] = {}

    def add(name: str) -> None:
        if name not in catalogue:
            raise ValueError(f"there is no image {name!r}; there are {', '.join(sorted(catalogue))}")
        for parent in catalogue[name].parents.values():
            add(parent)
        ordered[name] = catalogue[name]

    for name in list(names) or [image.name for image in catalogue.values() if image.published]:
        add(name)
    return list(ordered.values())


def files(image: Image, root: Path = ROOT) -> list[Path]:
    """Every file that decides what the image holds, the Dockerfile first."""
    found = [root / image.dockerfile] if image.dockerfile else []
    for name in image.inputs:
        path = root / name
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return [p for p in found if not any(fnmatch.fnmatch(str(p), pattern) for pattern in _IGNORED)]


def key(
    image: Image, arguments: Mapping[str, str], root: Path = ROOT, catalogue: Mapping[str, Image] = IMAGES
) -> str:
    """Changes when, and only when, the image would come out differently."""
    given = {name: value for name, value in arguments.items() if name in image.arguments}
    digests = [
        (
            str(path.relative_to(root)),
            path.stat().st_mode & 0o111,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in files(image, root)
    ]
    parents = {
        name: key(catalogue[parent], arguments, root, catalogue) for name, parent in image.parents.items()
    }
    recipe = [] if image.dockerfile else [SUITE, PACKAGES, LEFT_OUT]
    facts = json.dumps([digests, image.target, parents, sorted(given.items()), recipe])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
