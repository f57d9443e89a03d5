"""With Docker: what it is asked to build and to push. A script on PATH stands for it and writes that down."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.images import catalogue, cli

VERSION = catalogue.version()


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file into which a stand-in for Docker writes its arguments."""
    told = tmp_path / "asked"
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\nif [ "$1" != info ]; then echo "$@" >> {told}; fi\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("BASE", "VLLM_IMAGE", "POINTSMAN_TORCH_INDEX"):
        monkeypatch.delenv(name, raising=False)
    return told


def test_an_image_is_built_upon_its_parent_and_pushed_alone(asked: Path) -> None:
    cli.main(["build", "router", "--registry=registry.example.com/team/"])
    libraries, router, push = asked.read_text().splitlines()
    prefix = "registry.example.com/team"
    assert libraries.startswith(f"build --tag={prefix}/router-libraries:{VERSION} ")
    assert "--target=libraries" in libraries
    assert "--build-arg=BASE" not in libraries, "the Dockerfile's own base is pulled"
    assert f"--build-arg=PARENT={prefix}/router-libraries:{VERSION}" in router
    assert f"--build-arg=VERSION={VERSION}" in router
    assert push == f"push {prefix}/router:{VERSION}"


def test_without_a_registry_nothing_is_pushed(asked: Path) -> None:
    cli.main(["build", "router"])
    assert [line.split()[0] for line in asked.read_text().splitlines()] == ["build", "build"]
    assert f"--tag=pointsman.local/router:{VERSION}" in asked.read_text()


def test_a_base_image_and_an_index_are_build_arguments(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE", "mirror.example.com/python@sha256:0")
    monkeypatch.setenv("POINTSMAN_TORCH_INDEX", "https://index.example.com/cpu")
    cli.main(["build", "engine-cpu"])
    first = asked.read_text().splitlines()[0]
    assert "--build-arg=BASE=mirror.example.com/python@sha256:0" in first
    assert "--build-arg=TORCH_INDEX=https://index.example.com/cpu" in first


def test_the_gpu_engine_is_put_on_the_upstream_image_that_is_named(
    asked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_IMAGE", "mirror.example.com/vllm-openai@sha256:1")
    cli.main(["build", "engine-cuda"])
    (line,) = asked.read_text().splitlines()
    assert "--build-arg=VLLM_IMAGE=mirror.example.com/vllm-openai@sha256:1" in line
    assert "--file=serving-image/engine/Dockerfile.gpu" in line


def test_pushing_needs_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="pushing to a registry needs Docker"):
        cli.main(["build", "--registry=registry.example.com/team"])


def test_a_build_that_fails_ends_with_an_error(asked: Path) -> None:
    (asked.parent / "docker").write_text('#!/bin/sh\n[ "$1" = info ]\n')
    with pytest.raises(SystemExit, match="docker build failed"):
        cli.main(["build", "router"])


def test_every_image_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["list"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in (*catalogue.IMAGES, catalogue.GPU.name))
