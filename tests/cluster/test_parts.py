"""What is built, from which modules, under which key."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.cluster import gobuild, parts
from e2e.cluster.gomodule import KUBERNETES_COMMANDS, kubernetes_module, staging_modules, staging_version
from e2e.cluster.instance import ClusterError
from e2e.cluster.parts import TOOLS, Part

PINNED = parts.default_kubernetes_version((TOOLS / "kubernetes" / "go.mod").read_text())

UPSTREAM = """\
module k8s.io/kubernetes

go 1.26.0

godebug default=go1.26

require (
\tgithub.com/spf13/cobra v1.10.0
\tk8s.io/api v0.0.0
)

replace (
\tk8s.io/client-go => ./staging/src/k8s.io/client-go
\tk8s.io/api => ./staging/src/k8s.io/api
)
"""


def module(folder: Path) -> Part:
    (folder / "go.mod").write_text("module example\n")
    (folder / "go.sum").write_text("")
    (folder / "main.go").write_text("package main\n")
    return Part("example", "an example", folder, {"example": "example"}, ("example.version=1",))


def test_staging_modules_are_read_from_the_releases_own_go_mod() -> None:
    assert staging_modules(UPSTREAM) == ["k8s.io/api", "k8s.io/client-go"]


def test_staging_modules_carry_the_releases_number() -> None:
    assert staging_version("1.37.2") == "v0.37.2"
    with pytest.raises(ValueError, match=r"only releases 1\.x"):
        staging_version("2.0.0")


def test_a_module_builds_every_command_of_one_release() -> None:
    made = kubernetes_module("1.37.2", UPSTREAM)
    assert "require k8s.io/kubernetes v1.37.2\n" in made
    assert "\tk8s.io/client-go => k8s.io/client-go v0.37.2\n" in made
    assert "godebug default=go1.26\n" in made
    for command in KUBERNETES_COMMANDS:
        assert f"\tk8s.io/kubernetes/cmd/{command}\n" in made


def test_a_go_mod_without_staging_modules_is_refused() -> None:
    with pytest.raises(ValueError, match="replaces no staging module"):
        kubernetes_module("1.37.2", "module k8s.io/kubernetes\n")


def test_the_committed_module_is_of_one_release() -> None:
    go_mod = (TOOLS / "kubernetes" / "go.mod").read_text()
    version = parts.default_kubernetes_version(go_mod)
    replaced = dict(re.findall(r"^\t(k8s\.io/\S+) => \1 (v\S+)$", go_mod, re.MULTILINE))
    assert len(replaced) > 30
    assert set(replaced.values()) == {staging_version(version)}


@pytest.mark.parametrize("tool", sorted(folder.name for folder in TOOLS.iterdir()))
def test_every_tool_pins_what_it_is_built_from(tool: str) -> None:
    go_mod = (TOOLS / tool / "go.mod").read_text()
    assert "\ngo 1.26" in go_mod
    assert ("require" in go_mod) == (TOOLS / tool / "go.sum").is_file()


@pytest.mark.parametrize(
    ("environ", "version"),
    [
        pytest.param({}, PINNED, id="the pinned one"),
        pytest.param({"KUBERNETES_VERSION": "1.36.2"}, "1.36.2", id="the one that KUBERNETES_VERSION names"),
        pytest.param({"KUBERNETES_VERSION": "v1.36.2"}, "1.36.2", id="written with a v"),
    ],
)
def test_which_release_runs(environ: dict[str, str], version: str) -> None:
    assert parts.kubernetes_version(environ) == version


def test_a_release_without_its_last_number_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"KUBERNETES_VERSION=1\.37: a full release is wanted"):
        parts.kubernetes_version({"KUBERNETES_VERSION": "1.37"})


def test_components_say_which_release_they_are() -> None:
    part = next(part for part in parts.control_plane_parts(TOOLS / "kubernetes", "1.37.2") if part.stamps)
    assert "-X k8s.io/component-base/version.gitVersion=v1.37.2" in part.link_flags
    assert "-X k8s.io/client-go/pkg/version.gitMinor=37" in part.link_flags


def test_equal_inputs_have_equal_keys(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    assert module(here).key() == module(there).key()


@pytest.mark.parametrize(
    "file", [pytest.param(name, id=f"a change of {name}") for name in ("go.mod", "go.sum", "main.go")]
)
def test_a_changed_source_is_another_key(file: str, tmp_path: Path) -> None:
    part = module(tmp_path)
    before = part.key()
    (tmp_path / file).write_text("changed")
    assert part.key() != before


def test_another_stamp_or_another_command_is_another_key(tmp_path: Path) -> None:
    part = module(tmp_path)
    others = [replace(part, stamps=("example.version=2",)), replace(part, packages={"other": "example"})]
    assert len({part.key(), *(other.key() for other in others)}) == 3


def test_what_is_not_a_source_is_no_input(tmp_path: Path) -> None:
    part = module(tmp_path)
    before = part.key()
    (tmp_path / "notes.txt").write_text("notes")
    assert part.key() == before


def test_only_a_folder_in_its_place_counts_as_built(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    part = module(source)
    assert gobuild.missing([part], tmp_path) == [part]
    (tmp_path / "parts" / f".building-{gobuild.folder_of(part, tmp_path).name}").mkdir(parents=True)
    assert gobuild.missing([part], tmp_path) == [part]
    gobuild.folder_of(part, tmp_path).mkdir()
    assert gobuild.missing([part], tmp_path) == []
    assert gobuild.ensure([part], tmp_path) == {"example": gobuild.folder_of(part, tmp_path) / "example"}


def test_a_machine_without_go_is_told_the_other_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match=r"Go 1\.26 is needed.*CONTEXT=name.*KUBEBUILDER_ASSETS"):
        gobuild.go_environment(tmp_path)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        pytest.param("go1.27.3", "here is go1.27.3", id="too new, and no other to be had"),
        pytest.param("go1.25.1", "here is go1.25.1", id="too old, and no other to be had"),
        pytest.param("", "here is unusable", id="it does not run"),
    ],
)
def test_another_go_is_named(
    answers: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "go"
    program.write_text(f"#!/bin/sh\necho {answers}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match=said):
        gobuild.go_environment(tmp_path)


def test_go_may_bring_the_right_toolchain_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "go"
    program.write_text('#!/bin/sh\necho "${GOTOOLCHAIN:-go1.27.3}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    environ = gobuild.go_environment(tmp_path, {"PATH": str(tmp_path)})
    assert environ["GOTOOLCHAIN"].startswith("go1.26.")
