"""Two checkouts on one machine share no name, folder or port; one checkout keeps its own from run to run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from e2e.cluster import instance as instances
from e2e.cluster import ports
from e2e.cluster.bringup import Wish, prune, satisfies
from e2e.cluster.instance import Instance, Record, cache_root, read_record, write_record

HERE = Instance(Path("/src/pointsman"), Path("/home/ada/.cache/pointsman"))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(HERE, tree=Path("/src/pointsman-2")), id="another checkout"),
        pytest.param(
            replace(HERE, cache=Path("/mnt/cache/pointsman")), id="the same checkout with another cache"
        ),
    ],
)
def test_instances_are_kept_apart(other: Instance) -> None:
    assert other.name != HERE.name
    assert not {other.folder, other.store, other.logs} & {HERE.folder, HERE.store, HERE.logs}
    assert next(ports.candidates(other.name)) != next(ports.candidates(HERE.name))


def test_an_instance_keeps_its_name() -> None:
    assert HERE.name == Instance(Path("/src/pointsman"), Path("/home/ada/.cache/pointsman")).name


def test_a_name_can_be_a_host_name_and_a_cgroup() -> None:
    assert HERE.name.removeprefix("pointsman-").isalnum()
    assert len(HERE.name) <= 63


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        pytest.param({"XDG_CACHE_HOME": "/mnt/c"}, "/mnt/c/pointsman", id="where XDG_CACHE_HOME says"),
        pytest.param({"XDG_CACHE_HOME": "c"}, "/home/ada/.cache/pointsman", id="a relative one is ignored"),
        pytest.param({}, "/home/ada/.cache/pointsman", id="~/.cache without one"),
    ],
)
def test_the_cache_lies_where_the_user_keeps_caches(
    environ: dict[str, str], root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert cache_root(environ) == Path(root)


def test_every_block_of_ports_comes_up_once() -> None:
    blocks = list(ports.candidates("any"))
    assert len(set(blocks)) == (ports.LAST - ports.FIRST) // ports.BLOCK
    assert min(block.api for block in blocks) == ports.FIRST
    assert max(block.scheduler for block in blocks) == ports.LAST - 1


def test_a_block_with_one_port_taken_is_passed_over() -> None:
    first, second, *_ = ports.candidates("any")
    assert ports.choose("any", free=lambda port: port != first.etcd_peer) == second


def test_no_free_block_is_said_plainly() -> None:
    with pytest.raises(OSError, match="no 5 neighbouring loopback ports"):
        ports.choose("any", free=lambda port: False)


RECORD = Record("bare", "node", "1.37.2", "/parts/kubectl", "/src/pointsman", up=True)


def test_a_record_survives_being_written(tmp_path: Path) -> None:
    here = replace(HERE, cache=tmp_path)
    write_record(here, RECORD)
    assert read_record(here) == RECORD


@pytest.mark.parametrize(
    "content", [pytest.param("", id="cut off"), pytest.param('{"provider": "bare"}', id="of another format")]
)
def test_a_record_that_cannot_be_read_is_none(content: str, tmp_path: Path) -> None:
    here = replace(HERE, cache=tmp_path)
    here.folder.mkdir(parents=True)
    (here.folder / "record.json").write_text(content)
    assert read_record(here) is None


@pytest.mark.parametrize(
    ("record", "wish", "enough"),
    [
        pytest.param(RECORD, Wish("node"), True, id="the same is wanted again"),
        pytest.param(RECORD, Wish("control-plane"), True, id="a node is a control plane too"),
        pytest.param(
            replace(RECORD, size="control-plane"), Wish("node"), False, id="a control plane is no node"
        ),
        pytest.param(
            replace(RECORD, kubernetes="1.36.2"), Wish("node"), False, id="another release of Kubernetes"
        ),
        pytest.param(replace(RECORD, provider="kind"), Wish("node"), True, id="kind is as good as bare"),
        pytest.param(
            replace(RECORD, provider="kind"),
            Wish("node", provider="bare"),
            False,
            id="kind, but bare is named",
        ),
        pytest.param(
            replace(RECORD, provider="context"), Wish("node"), False, id="a named one, none is named now"
        ),
        pytest.param(RECORD, Wish(context="prod", kubeconfig=Path("/k")), False, id="a context is named now"),
    ],
)
def test_whether_what_is_up_is_what_is_wanted(record: Record, wish: Wish, enough: bool) -> None:
    assert satisfies(record, wish, "1.37.2") is enough


def test_prune_deletes_only_what_belongs_to_no_tree(tmp_path: Path) -> None:
    there = Instance(tmp_path / "there", tmp_path / "cache")
    gone = Instance(tmp_path / "gone", tmp_path / "cache")
    there.tree.mkdir()
    for each in (there, gone):
        each.store.mkdir(parents=True)
        each.store_owner.write_text(str(each.tree))
    assert prune(tmp_path / "cache") == [gone.name]
    assert there.store.is_dir()
    assert not gone.store.exists()
    assert not gone.store_owner.exists()


def test_a_lock_is_waited_for_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = tmp_path / "folder" / "lock"
    with instances.locked(lock, "waiting"):
        pass
    with instances.locked(lock, "waiting"):
        pass
    assert capsys.readouterr().out == ""
