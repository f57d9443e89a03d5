"""The node's branch in every cgroup tree, version 1, version 2 and mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.cluster import bare, cgroups, process
from e2e.cluster.cgroups import Hierarchy

MIXED = """\
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
UNIFIED = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        pytest.param(MIXED, [("memory", 1), ("cpuset", 1), ("unified", 2)], id="version 1 beside version 2"),
        pytest.param(UNIFIED, [("cgroup", 2)], id="version 2 alone"),
        pytest.param("proc /proc proc rw 0 0\n", [], id="none"),
    ],
)
def test_the_trees_are_those_mounted(mounts: str, found: list[tuple[str, int]]) -> None:
    assert [(tree.root.name, tree.version) for tree in cgroups.hierarchies(mounts)] == found


def test_a_version_1_cpuset_gets_its_parents_processors(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "pm"):
        folder.mkdir(exist_ok=True)
        for name, content in (
            ("cpuset.cpus", "0-1\n"),
            ("cpuset.mems", "0\n"),
            ("cgroup.clone_children", "0"),
        ):
            (folder / name).write_text(content if folder == tmp_path else "")
    cgroups.create("pm", [Hierarchy(tmp_path, 1)])
    assert (tmp_path / "pm" / "cpuset.cpus").read_text() == "0-1\n"
    assert (tmp_path / "pm" / "cpuset.mems").read_text() == "0\n"
    assert (tmp_path / "pm" / "cgroup.clone_children").read_text() == "1"


def test_a_version_2_tree_passes_its_controllers_on(tmp_path: Path) -> None:
    (tmp_path / "pm").mkdir()
    for folder in (tmp_path, tmp_path / "pm"):
        (folder / "cgroup.controllers").write_text("memory\n")
    cgroups.create("pm", [Hierarchy(tmp_path, 2)])
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    assert (tmp_path / "pm" / "cgroup.subtree_control").read_text() == "+memory"


def test_a_version_2_tree_without_controllers_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("\n")
    cgroups.create("pm", [Hierarchy(tmp_path, 2)])
    assert not (tmp_path / "pm").exists()


def test_a_branch_goes_with_everything_below_it(tmp_path: Path) -> None:
    (tmp_path / "pm" / "kubepods" / "burstable" / "pod1").mkdir(parents=True)
    (tmp_path / "pm" / "kubepods" / "pod2").mkdir()
    (tmp_path / "other").mkdir()
    assert cgroups.remove("pm", [Hierarchy(tmp_path, 1)]) == []
    assert [child.name for child in tmp_path.iterdir()] == ["other"]


def test_a_branch_that_stays_is_named(tmp_path: Path) -> None:
    (tmp_path / "pm").mkdir()
    (tmp_path / "pm" / "held").write_text("")  # a file: rmdir fails, as it does where a process is inside
    assert cgroups.remove("pm", [Hierarchy(tmp_path, 1)], within_s=0) == [tmp_path / "pm"]


def test_mounts_are_told_from_neighbours_with_longer_names() -> None:
    mounts = "a /c/pm/x tmpfs rw 0 0\nb /c/pm-2/x tmpfs rw 0 0\nc /c/pm/with\\040space tmpfs rw 0 0\n"
    assert bare.mounts_below(Path("/c/pm"), mounts) == ["/c/pm/x", "/c/pm/with space"]


def test_marked_processes_are_found_and_ended_and_no_others(tmp_path: Path) -> None:
    ours = process.start("ours", ["sleep", "60"], mark="pm-test/a", log=tmp_path / "a.log")
    other = process.start("other", ["sleep", "60"], mark="pm-test/ab", log=tmp_path / "b.log")
    try:
        assert process.marked("pm-test/a") == [ours.popen.pid]
        ours.stop()
        assert process.end_marked("pm-test/a") == []
        assert not other.exited()
    finally:
        other.stop()


def test_one_command_of_an_instance_is_ended_and_its_others_are_not(tmp_path: Path) -> None:
    gone = process.start("gone", ["sleep", "60"], mark="pm-test/c", log=tmp_path / "a.log")
    stays = process.start("stays", ["tail", "-f", "/dev/null"], mark="pm-test/c", log=tmp_path / "b.log")
    try:
        assert process.end_marked_command("pm-test/c", "sleep")
        assert process.command_of(gone.popen.pid) == ""
        assert process.command_of(stays.popen.pid) == "tail"
        assert not process.end_marked_command("pm-test/c", "sleep"), "there is none any more"
    finally:
        gone.stop()
        stays.stop()


def test_a_component_inherits_no_proxy_and_no_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses")
    assert set(process.environment("pm")) == {"PATH", "HOME", process.MARK}


def test_the_last_words_of_a_component_are_the_end_of_its_log(tmp_path: Path) -> None:
    talker = process.start(
        "talker", ["sh", "-c", "echo one; echo two; echo three"], mark="pm-t", log=tmp_path / "l"
    )
    talker.popen.wait()
    assert talker.last_words(2) == "two\nthree"
