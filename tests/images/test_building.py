"""The tool that builds images: what is built when, and what archives hold."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from e2e.cluster import oci
from e2e.cluster.instance import ClusterError
from e2e.images import archives, catalogue, layout, settings
from e2e.images.catalogue import IMAGES, Image
from e2e.images.storage import Layer, Storage


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["base"], ["base"], id="one that is built upon nothing"),
        pytest.param(
            ["demo-engine"], ["base", "vllm-cpu", "vllm-cpu-models", "demo-engine"], id="parents come first"
        ),
        pytest.param(
            ["router", "operator"],
            ["base", "router-libraries", "router", "operator-libraries", "operator"],
            id="what is shared comes once",
        ),
    ],
)
def test_an_image_comes_with_what_it_is_built_upon(names: list[str], expected: list[str]) -> None:
    assert [image.name for image in catalogue.wanted(names)] == expected


def test_without_names_everything_that_clusters_run_is_meant() -> None:
    published = {image.name for image in catalogue.wanted([]) if image.published}
    assert published == {"engine-cpu", "demo-engine", "scripted-engine", "router", "operator"}


def test_an_unknown_image_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no image 'rooter'; there are base, .*router"):
        catalogue.wanted(["rooter"])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with two images, one upon the other."""
    (tmp_path / "Dockerfile").write_text("FROM x")
    for name in ("lib/a.py", "app/b.py", "app/__pycache__/b.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


SMALL = {
    "lib": Image("lib", "Dockerfile", ("lib",), arguments=("INDEX",)),
    "app": Image("app", "Dockerfile", ("app",), parents={"PARENT": "lib"}),
}


def keys(tree: Path, **arguments: str) -> dict[str, str]:
    given = {"VERSION": "1", **arguments}
    return {name: catalogue.key(image, given, tree, SMALL) for name, image in SMALL.items()}


CHANGES = [
    pytest.param("app/b.py", {}, {"app"}, id="code: only the image that holds it"),
    pytest.param("lib/a.py", {}, {"lib", "app"}, id="what others are built upon: they too"),
    pytest.param("Dockerfile", {}, {"lib", "app"}, id="the Dockerfile: all its images"),
    pytest.param("app/__pycache__/b.pyc", {}, set(), id="bytecode: none"),
    pytest.param("", {"VERSION": "2"}, {"app"}, id="the version: those that carry it"),
    pytest.param("", {"INDEX": "x"}, {"lib", "app"}, id="an argument: those that take it, and upon them"),
]


@pytest.mark.parametrize(("path", "arguments", "changed"), CHANGES)
def test_a_build_is_kept_until_its_inputs_change(
    tree: Path, path: str, arguments: dict[str, str], changed: set[str]
) -> None:
    before = keys(tree)
    if path:
        (tree / path).write_text("changed")
    after = keys(tree, **arguments)
    assert {name for name in SMALL if before[name] != after[name]} == changed


def test_a_file_that_becomes_executable_is_a_change(tree: Path) -> None:
    before = keys(tree)
    (tree / "app/b.py").chmod(0o755)
    assert keys(tree)["app"] != before["app"]


def test_every_input_exists_and_versions_are_tags() -> None:
    assert all(catalogue.files(image) for image in IMAGES.values() if image.dockerfile)
    names = {archives.public_name(IMAGES[name], {name: "k"}) for name in ("router", "vllm-cpu")}
    assert names == {f"pointsman.local/router:{catalogue.version()}", "pointsman.local/vllm-cpu:k"}


BUILDERS = [
    pytest.param({}, "", id="nothing set"),
    pytest.param(
        {"PIP_INDEX_URL": "https://x/simple"},
        "export PIP_INDEX_URL=https://x/simple\nexport UV_DEFAULT_INDEX=https://x/simple\n",
        id="an index for pip serves uv too",
    ),
    pytest.param(
        {"PIP_INDEX_URL": "a", "UV_INDEX_URL": "b"},
        "export PIP_INDEX_URL=a\nexport UV_INDEX_URL=b\n",
        id="unless uv has its own",
    ),
    pytest.param({"https_proxy": "http://p:1 $x"}, "export https_proxy='http://p:1 $x'\n", id="quoted"),
    pytest.param({"PIP_FIND_LINKS": "/opt/wheels"}, "", id="no folders of the builder"),
    pytest.param({"AWS_SECRET_ACCESS_KEY": "x", "PATH": "/bin"}, "", id="nothing else"),
]


@pytest.mark.parametrize(("environment", "script"), BUILDERS)
def test_the_builders_settings_go_in_as_a_secret(environment: dict[str, str], script: str) -> None:
    assert settings.build_environment(environment) == script


def test_the_builders_ca_goes_in_as_a_secret(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("CERTIFICATE")
    options = settings.write_secrets(tmp_path, {"SSL_CERT_FILE": str(bundle), "PIP_CERT": "/not/there"})
    assert [option.partition(",")[0] for option in options] == [
        "--secret=id=build-env",
        "--secret=id=build-ca",
    ]
    assert (tmp_path / "build-ca").read_text() == "CERTIFICATE"
    assert (tmp_path / "build-env").stat().st_mode & 0o077 == 0


def committed(root: Path, files: dict[str, bytes], identity: str = "abc") -> Layer:
    """A layer as containers/storage keeps it: files unpacked, and the rest of the tar stream beside them."""
    stream = io.BytesIO()
    entries: list[dict[str, object]] = []
    diff = root / "overlay" / identity / "diff"
    with tarfile.open(fileobj=stream, mode="w") as layer:
        for name, content in files.items():
            before = stream.tell()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            layer.addfile(entry, io.BytesIO(content))
            (diff / name).parent.mkdir(parents=True, exist_ok=True)
            (diff / name).write_bytes(content)
            raw = stream.getvalue()[before:]
            entries.append({"type": 2, "payload": base64.b64encode(raw[:512]).decode()})
            entries.append({"type": 1, "name": f"/{name}", "size": len(content)})
            entries.append({"type": 2, "payload": base64.b64encode(raw[512 + len(content) :]).decode()})
        end = stream.tell()
    entries.append({"type": 2, "payload": base64.b64encode(stream.getvalue()[end:]).decode()})
    whole = stream.getvalue()
    digest = f"sha256:{hashlib.sha256(whole).hexdigest()}"
    folder = root / "overlay-layers"
    folder.mkdir(exist_ok=True)
    with gzip.open(folder / f"{identity}.tar-split.gz", "wt") as split:
        split.write("\n".join(json.dumps(entry) for entry in entries))
    known = json.loads((folder / "layers.json").read_text()) if (folder / "layers.json").exists() else []
    (folder / "layers.json").write_text(json.dumps([*known, {"id": identity, "diff-digest": digest}]))
    return Layer(digest, len(whole))


def image(root: Path, name: str, layers: list[Layer]) -> None:
    """An image of these layers, as containers/storage keeps it."""
    config = json.dumps({"os": "linux", "name": name}).encode()
    config_digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    listed = [{"digest": layer.digest, "size": layer.size} for layer in layers]
    manifest = json.dumps({"config": {"digest": config_digest}, "layers": listed})
    folder = root / "overlay-images" / name.replace("/", "_")
    folder.mkdir(parents=True)
    (folder / "manifest").write_text(manifest)
    (folder / ("=" + base64.b64encode(config_digest.encode()).decode())).write_bytes(config)
    index = root / "overlay-images/images.json"
    known = json.loads(index.read_text()) if index.exists() else []
    index.write_text(json.dumps([*known, {"id": folder.name, "names": [name]}]))


def blobs(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {m.name: f.read() for m in opened.getmembers() if (f := opened.extractfile(m))}


def test_an_archive_holds_what_its_parent_does_not(tmp_path: Path) -> None:
    root = tmp_path / "storage"
    large = committed(root, {"lib/large": bytes(3000)}, "aaa")
    small = committed(root, {"app": b"code"}, "bbb")
    image(root, "localhost/lib:1", [large])
    image(root, "localhost/app:1", [large, small])
    storage = Storage(root)
    whole, thin = tmp_path / "whole.tar", tmp_path / "thin.tar"
    layout.write_archive(storage, storage.image("localhost/app:1"), "x.local/app:1", whole)
    layout.write_archive(storage, storage.image("localhost/app:1"), "x.local/app:1", thin, {large.digest})
    missing = set(blobs(whole)) - set(blobs(thin))
    assert missing == {"blobs/" + large.digest.replace(":", "/")}
    assert blobs(whole)["index.json"] == blobs(thin)["index.json"], "the same image, so it isn't loaded twice"
    for name, content in blobs(whole).items():
        if name.startswith("blobs/"):
            assert name.rpartition("/")[2] == hashlib.sha256(content).hexdigest()


def test_the_cluster_reads_the_archives_name_and_digest(tmp_path: Path) -> None:
    root = tmp_path / "storage"
    image(root, "localhost/app:1", [committed(root, {"app": b"code"})])
    target = tmp_path / "app.tar"
    stored = Storage(root).image("localhost/app:1")
    layout.write_archive(Storage(root), stored, "pointsman.local/app:0.1.0", target)
    read = oci.read_archive(target)
    assert read.names == ("pointsman.local/app:0.1.0",)
    assert read.manifest_digest == f"sha256:{hashlib.sha256(stored.manifest).hexdigest()}"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"CODE", "damaged"), (b"co", "shorter")],
    ids=["a file that changed", "a file that was cut"],
)
def test_a_damaged_storage_is_noticed(tmp_path: Path, content: bytes, message: str) -> None:
    root = tmp_path / "storage"
    image(root, "localhost/app:1", [committed(root, {"app": b"code"})])
    (root / "overlay/abc/diff/app").write_bytes(content)
    with pytest.raises(ClusterError, match=message):
        layout.write_archive(
            Storage(root), Storage(root).image("localhost/app:1"), "x/app:1", tmp_path / "a.tar"
        )
    assert not (tmp_path / "a.tar").exists()


def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    root = tmp_path / "storage"
    image(root, "localhost/app:1", [committed(root, {"app": b"code"})])
    with pytest.raises(ClusterError, match="no image localhost/other:1"):
        Storage(root).image("localhost/other:1")


def test_archives_that_are_there_need_no_builder(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    given = {"VERSION": catalogue.version()}
    folder = tmp_path / "pointsman/images/archives"
    folder.mkdir(parents=True)
    expected = []
    for wanted in catalogue.wanted(["router"]):
        expected.append(folder / f"{wanted.name}-{catalogue.key(wanted, given)}.tar")
        expected[-1].touch()
    assert archives.archives(["router"], environment) == expected
