"""The Dockerfiles by the rules of the house, for want of a registry to build all of them against."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.images import catalogue

ROOT = catalogue.ROOT
FILES = sorted(
    {*(image.dockerfile for image in catalogue.IMAGES.values() if image.dockerfile), catalogue.GPU.dockerfile}
)
"""All Dockerfiles that the build knows."""

RUN = [name for name in FILES if name != "e2e/models/Dockerfile"]
"""Those whose last stage is run; the others are only built upon."""


@dataclass(frozen=True, slots=True)
class Instruction:
    word: str
    rest: str


def instructions(name: str) -> list[Instruction]:
    """The instructions of a Dockerfile, with continued lines joined and comments left out."""
    text = "\n".join(line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [Instruction(*line.strip().split(" ", 1)) for line in lines if line.strip()]


def last_stage(name: str) -> list[Instruction]:
    found = instructions(name)
    start = max(i for i, one in enumerate(found) if one.word == "FROM")
    return found[start:]


def of(word: str, found: list[Instruction]) -> list[str]:
    return [one.rest for one in found if one.word == word]


every = pytest.mark.parametrize("name", FILES)
every_run = pytest.mark.parametrize("name", RUN)


@every
def test_only_known_instructions_are_used(name: str) -> None:
    known = {"ARG", "FROM", "ENV", "COPY", "RUN", "LABEL", "USER", "EXPOSE", "ENTRYPOINT"}
    assert {one.word for one in instructions(name)} <= known


@every
def test_what_it_is_built_upon_is_an_argument_and_never_latest(name: str) -> None:
    found = instructions(name)
    defaults = dict(rest.partition("=")[::2] for rest in of("ARG", found))
    for start in of("FROM", found):
        argument = re.match(r"\$\{(\w+)\}(?: AS [\w-]+)?$", start)
        assert argument, f"FROM {start}: not an argument"
        default = defaults[argument[1]]
        assert not default.endswith(":latest")
        assert not default or "/" not in default or re.search(r":[\w.-]+$|@sha256:", default), default


@every_run
def test_it_runs_as_a_user_by_number_and_starts_without_a_shell(name: str) -> None:
    stage = last_stage(name)
    assert of("USER", stage) == ["2000:2000"]
    (entrypoint,) = of("ENTRYPOINT", stage)
    program, *options = json.loads(entrypoint)
    assert program.startswith("pointsman-")
    assert not options


@every_run
def test_it_carries_the_version_and_a_home_that_can_be_written(name: str) -> None:
    stage = last_stage(name)
    labels = " ".join(of("LABEL", stage))
    for label in ("title", "description", "licenses", "version"):
        assert f"org.opencontainers.image.{label}=" in labels
    assert 'image.version="${VERSION}"' in labels
    environment = dict(word.partition("=")[::2] for word in shlex.split(" ".join(of("ENV", stage))))
    assert environment["HOME"] == "/tmp"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert environment["POINTSMAN_VERSION"] == "${VERSION}"


@every_run
def test_bytecode_of_ours_is_compiled_for_good_and_the_program_tried(name: str) -> None:
    runs = " ".join(of("RUN", last_stage(name)))
    assert "compile-python.sh" in runs
    assert "--version" in runs or "import pointsman_router.main" in runs


@every
def test_everything_that_is_copied_is_there(name: str) -> None:
    for rest in of("COPY", instructions(name)):
        *sources, _ = shlex.split(rest)
        assert all((ROOT / source).exists() for source in sources), rest


@every
def test_everything_that_is_copied_decides_the_key(name: str) -> None:
    keyed = [
        path
        for image in [*catalogue.IMAGES.values(), catalogue.GPU]
        if image.dockerfile == name
        for path in image.inputs
    ]
    for rest in of("COPY", instructions(name)):
        *sources, _ = shlex.split(rest)
        for source in sources:
            assert any(Path(source).is_relative_to(path) for path in keyed), source


@every
def test_steps_that_use_an_index_get_its_settings_as_secrets_only(name: str) -> None:
    for rest in of("RUN", instructions(name)):
        if re.search(r"install-\S+\.sh|pip install", rest):
            assert "type=secret,id=build-env" in rest
            assert "type=secret,id=build-ca" in rest
    leaky = re.compile(r"INDEX_URL|PROXY|TOKEN|PASSWORD|CERT")
    assert not any(
        leaky.search(rest) for rest in (*of("ARG", instructions(name)), *of("ENV", instructions(name)))
    )


@pytest.mark.parametrize("path", sorted((ROOT / "serving-image").rglob("*.sh")), ids=lambda p: p.name)
def test_scripts_stop_at_the_first_error_and_can_be_run(path: Path) -> None:
    if path.name == "build-env.sh":  # it's sourced
        return
    text = path.read_text()
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert path.stat().st_mode & 0o111


@pytest.mark.parametrize(
    "path",
    sorted({*ROOT.glob("serving-image/**/*.lock"), *ROOT.glob("e2e/models/**/*.lock")}),
    ids=lambda p: p.name,
)
def test_locks_hold_hashes_and_no_hosts(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    requirements = re.findall(r"^[a-z0-9][\w.\[\]-]*==\S+.*$", text, re.MULTILINE)
    assert requirements
    assert all(line.endswith("\\") for line in requirements)
    assert text.count("--hash=sha256:") >= len(requirements)
