"""Image archives, written and read, and which of them the node already has."""

from __future__ import annotations

import json
import os
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from e2e.cluster import oci
from e2e.cluster.images import LABEL, StoredImage, parse_listing, to_load
from e2e.cluster.oci import Archive, ImageConfig, read_archive, write_archive

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64

LISTING = f"""\
REF                     TYPE                                       DIGEST {" " * 60} SIZE      PLATFORMS   LABELS
pointsman.local/a:1     application/vnd.oci.image.manifest.v1+json {A} 1.9 MiB   linux/amd64 io.cri-containerd.image=managed
pointsman.local/b:1     application/vnd.oci.image.manifest.v1+json {B} 680.1 KiB linux/amd64 a=b,{LABEL}=x@{B}
pointsman.local/c:1     application/vnd.oci.image.manifest.v1+json {B} 680.1 KiB linux/amd64 -
"""  # noqa: E501


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    root = tmp_path / "rootfs"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "motd").write_text("hello")
    (root / "run").symlink_to("var/run")
    return root


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {entry.name: content.read() for entry in tar if (content := tar.extractfile(entry))}


def test_the_same_files_give_the_same_image(rootfs: Path, tmp_path: Path) -> None:
    first = write_archive(tmp_path / "1.tar", "pointsman.local/a:1", ImageConfig(cmd=("/a",)), rootfs)
    os.utime(rootfs / "etc" / "motd", (1, 1))
    second = write_archive(tmp_path / "2.tar", "pointsman.local/a:1", ImageConfig(cmd=("/a",)), rootfs)
    assert first == second
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_an_image_names_itself_and_its_start(rootfs: Path, tmp_path: Path) -> None:
    config = ImageConfig(
        entrypoint=("/bin/a",), env={"B": "2", "A": "1"}, user="2000:2000", labels={"v": "1"}
    )
    digest = write_archive(tmp_path / "a.tar", "pointsman.local/a:1", config, rootfs)
    read = read_archive(tmp_path / "a.tar")
    assert read.names == ("pointsman.local/a:1",)
    assert read.manifest_digest == digest
    files = members(tmp_path / "a.tar")
    manifest = json.loads(files["blobs/" + digest.replace(":", "/")])
    settings = json.loads(files["blobs/" + manifest["config"]["digest"].replace(":", "/")])["config"]
    assert settings["Entrypoint"] == ["/bin/a"]
    assert settings["Env"] == [oci.PATH, "A=1", "B=2"]
    assert settings["User"] == "2000:2000"
    assert "Cmd" not in settings


def test_every_blob_is_what_its_name_says(rootfs: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "a.tar", "pointsman.local/a:1", ImageConfig(), rootfs)
    blobs = {
        name: content for name, content in members(tmp_path / "a.tar").items() if name.startswith("blobs/")
    }
    assert len(blobs) == 3
    for name, content in blobs.items():
        assert oci._digest(BytesIO(content)) == "sha256:" + name.rpartition("/")[2]


def test_no_scratch_file_stays_behind(rootfs: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "a.tar", "pointsman.local/a:1", ImageConfig(), rootfs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "rootfs"]


@pytest.mark.parametrize(
    ("machine", "name"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("riscv64", "riscv64")]
)
def test_architectures_have_the_names_that_images_use(machine: str, name: str) -> None:
    assert oci.architecture(machine) == name


def tar_of(path: Path, name: str, document: object) -> Path:
    content = json.dumps(document).encode()
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, BytesIO(content))
    return path


def test_an_archive_by_docker_is_named_by_its_tags(tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "d.tar", "manifest.json", [{"Config": "c.json", "RepoTags": ["pointsman.local/d:1"]}]
    )
    read = read_archive(path)
    assert read.names == ("pointsman.local/d:1",)
    assert read.manifest_digest == ""


def test_a_bare_tag_is_no_name(tmp_path: Path) -> None:
    manifest = {"digest": A, "annotations": {oci.REFERENCE: "1.0"}}
    assert read_archive(tar_of(tmp_path / "o.tar", "index.json", {"manifests": [manifest]})).names == ()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    with pytest.raises(ValueError, match="is no image archive"):
        read_archive(tmp_path / "text")
    with pytest.raises(ValueError, match=r"neither index\.json nor manifest\.json"):
        read_archive(tar_of(tmp_path / "t.tar", "something", {}))


def test_a_listing_gives_names_digests_and_labels() -> None:
    stored = parse_listing(LISTING)
    assert {name: image.digest for name, image in stored.items()} == {
        "pointsman.local/a:1": A,
        "pointsman.local/b:1": B,
        "pointsman.local/c:1": B,
    }
    assert stored["pointsman.local/b:1"].labels == {"a": "b", LABEL: f"x@{B}"}
    assert stored["pointsman.local/c:1"].labels == {}


def archive(name: str = "pointsman.local/a:1", digest: str = "", identity: str = "x") -> Archive:
    return Archive(Path("a.tar"), (name,), digest, identity)


@pytest.mark.parametrize(
    ("wanted", "stored", "load"),
    [
        pytest.param(archive(digest=A), StoredImage(A, {}), False, id="the same digest"),
        pytest.param(archive(digest=B), StoredImage(A, {}), True, id="another digest under the name"),
        pytest.param(archive(digest=A), None, True, id="nothing under the name"),
        pytest.param(archive(), StoredImage(A, {LABEL: f"x@{A}"}), False, id="Docker's, loaded before"),
        pytest.param(
            archive(identity="y"), StoredImage(A, {LABEL: f"x@{A}"}), True, id="Docker's, changed since"
        ),
        pytest.param(archive(), StoredImage(B, {LABEL: f"x@{A}"}), True, id="Docker's, its name taken over"),
        pytest.param(archive(), StoredImage(A, {}), True, id="Docker's, of unknown origin"),
    ],
)
def test_what_has_to_be_loaded(wanted: Archive, stored: StoredImage | None, load: bool) -> None:
    there = {"pointsman.local/a:1": stored} if stored else {}
    assert to_load([wanted], there) == ([wanted] if load else [])
