"""hf:// sources: the hub's real client against a hub on loopback, as resolve Jobs and engines run it."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.engine.entrypoint import Entrypoint, eventually
from tests.engine.hub_server import COMMIT, HubServer, Repo, serving
from tests.engine.models import CONFIG, safetensors

SMALL = {"tokenizer.json": b'{"model": {}}', "tokenizer_config.json": b"{}"}
FILES = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": safetensors(), **SMALL}
BIN = {"config.json": json.dumps(CONFIG).encode(), "pytorch_model.bin": bytes(3000)}
EXTRA = {
    "README.md": b"x",
    "pytorch_model.bin": bytes(3000),
    "onnx/model.onnx": bytes(3000),
    "original/consolidated.safetensors": safetensors(),
    "consolidated.safetensors": safetensors(),
}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    repos = {
        "org/open": Repo({**FILES, **EXTRA}, parameters={"BF16": 2048}),
        "org/bin": Repo(BIN),
        "org/private": Repo(FILES, token="secret"),
        "org/gated": Repo(FILES, gated=True),
        "org/empty": Repo({"README.md": b"x"}),
        "org/gguf": Repo({"config.json": b"{}", "model.Q4.gguf": bytes(100)}),
        "org/flaky": Repo(FILES, failures=2),
        "org/down": Repo(FILES, failures=1000),
        "org/slow": Repo(FILES, slow_s=30),
        "org/cut": Repo(FILES, cut="model.safetensors"),
    }
    with serving(repos) as running:
        yield running


@dataclass
class Done:
    code: int
    message: dict[str, Any]
    output: str = field(repr=False, default="")


def environment(hub_url: str, folder: Path, **extra: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "HOME": str(folder),
        "HF_ENDPOINT": hub_url,
        "POINTSMAN_TERMINATION_LOG": str(folder / "termination-log"),
        "POINTSMAN_HUB_RETRY_SECONDS": "0.01",
        **extra,
    }


def resolve(hub_url: str, folder: Path, uri: str, *options: str, **extra: str) -> Done:
    """The resolve Job's container."""
    done = subprocess.run(
        [sys.executable, "-m", "pointsman_engine", "resolve", uri, *options],
        env=environment(hub_url, folder, **extra),
        capture_output=True,
        text=True,
        timeout=60,
    )
    log = folder / "termination-log"
    assert log.exists(), done.stdout + done.stderr
    assert len(log.read_bytes()) <= 4096
    return Done(done.returncode, json.loads(log.read_text()), done.stdout + done.stderr)


def token_file(folder: Path, text: str) -> str:
    path = folder / "token"
    path.write_text(text)
    return str(path)


def fetch(hub_url: str, folder: Path, name: str, commit: str = COMMIT, **extra: str) -> list[dict[str, Any]]:
    """The engine's fetching process; what it says, line by line."""
    done = subprocess.run(
        [sys.executable, "-m", "pointsman_engine.fetch", name, commit, str(folder / "weights")],
        env=environment(hub_url, folder, **extra),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("revision", ["", "main", "v1", COMMIT])
def test_resolving_gives_commit_sizes_and_facts(hub: HubServer, tmp_path: Path, revision: str) -> None:
    done = resolve(hub.url, tmp_path, "hf://org/open", *(["--revision", revision] if revision else []))
    assert done.code == 0
    assert done.message == {
        "commit": COMMIT,
        "bytes": sum(map(len, FILES.values())),
        "files": len(FILES),
        "weightBytes": len(FILES["model.safetensors"]),
        "weights": {"BF16": 2048},
        "config": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 2},
    }


REFUSALS = [
    pytest.param(
        "hf://org/nothing", {}, "WeightsNotFound", "source.secretRef", id="a repository that isn't there"
    ),
    pytest.param(
        "hf://org/private", {}, "WeightsNotFound", "or it is private", id="a private one, without a token"
    ),
    pytest.param(
        "hf://org/private", {"token": "wrong"}, "SecretInvalid", "refuses the token", id="a wrong token"
    ),
    pytest.param(
        "hf://org/private", {"token": "good"}, "WeightsNotFound", "the token may read", id="another's token"
    ),
    pytest.param("hf://org/private", {"token": ""}, "SecretInvalid", "empty", id="an empty token"),
    pytest.param("hf://org/private", {"token": "a b\nc"}, "SecretInvalid", "one word", id="no token at all"),
    pytest.param("hf://org/gated", {}, "SecretInvalid", "give a token", id="a gated one, without a token"),
    pytest.param(
        "hf://org/gated", {"token": "good"}, "SecretInvalid", "accept the model's terms", id="a gated one"
    ),
    pytest.param(
        "hf://org/empty", {}, "WeightsNotFound", "neither *.safetensors", id="a repository without weights"
    ),
    pytest.param("hf://org/gguf", {}, "WeightsNotFound", "GGUF", id="a repository with GGUF files only"),
    pytest.param("hf://a/b/c", {}, "WeightsNotFound", "org/name", id="a name of three parts"),
    pytest.param("s3://bucket/x", {}, "WeightsNotFound", "hf://org/name", id="another scheme"),
]


@pytest.mark.parametrize(("uri", "given", "reason", "message"), REFUSALS)
def test_what_cannot_be_resolved_says_what_would_help(
    hub: HubServer, tmp_path: Path, uri: str, given: dict[str, str], reason: str, message: str
) -> None:
    extra = {"HF_TOKEN_PATH": token_file(tmp_path, given["token"])} if "token" in given else {}
    done = resolve(hub.url, tmp_path, uri, **extra)
    assert done.code == 1
    assert done.message["reason"] == reason
    assert message in done.message["message"]
    assert "Traceback" not in done.output


def test_a_revision_that_is_not_there_is_named(hub: HubServer, tmp_path: Path) -> None:
    done = resolve(hub.url, tmp_path, "hf://org/open", "--revision=v9")
    assert done.message["reason"] == "WeightsNotFound"
    assert "'v9'" in done.message["message"]


def test_a_private_repository_opens_to_its_token(hub: HubServer, tmp_path: Path) -> None:
    done = resolve(hub.url, tmp_path, "hf://org/private", HF_TOKEN_PATH=token_file(tmp_path, "secret\n"))
    assert done.code == 0


def test_a_secret_that_is_not_mounted_is_a_wrong_secret(hub: HubServer, tmp_path: Path) -> None:
    done = resolve(hub.url, tmp_path, "hf://org/private", HF_TOKEN_PATH="/nowhere/token")
    assert done.message["reason"] == "SecretInvalid"


def test_a_hub_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = resolve(url, tmp_path, "hf://org/open")
    assert done.message["reason"] == "WeightsDownloadFailed"
    assert url in done.message["message"]


def test_a_proxy_is_asked_when_one_is_set(hub: HubServer, tmp_path: Path) -> None:
    done = resolve("http://hub.invalid", tmp_path, "hf://org/open", HTTP_PROXY=hub.url, http_proxy=hub.url)
    assert done.code == 0, done.output


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, private


@pytest.mark.parametrize(
    ("bundle", "code"),
    [
        pytest.param("hub.crt", 0, id="with the private CA"),
        pytest.param("other.crt", 1, id="with another CA"),
        pytest.param("", 1, id="with none"),
    ],
)
def test_a_mirror_with_a_private_ca_is_trusted_only_with_it(tmp_path: Path, bundle: str, code: int) -> None:
    pair = _certificate(tmp_path, "hub")
    _certificate(tmp_path, "other")
    extra = {"SSL_CERT_FILE": str(tmp_path / bundle)} if bundle else {}
    with serving({"org/open": Repo(FILES)}, pair) as hub:
        done = resolve(hub.url, tmp_path, "hf://org/open", **extra)
    assert done.code == code, done.output
    if code:
        assert done.message["reason"] == "WeightsDownloadFailed"
        assert "isn't trusted" in done.message["message"]


def test_fetching_brings_the_needed_files_at_the_pinned_commit(hub: HubServer, tmp_path: Path) -> None:
    said = fetch(hub.url, tmp_path, "org/open")
    assert said[-1] == {"complete": True}
    assert said[-2] == {"done": sum(map(len, FILES.values())), "total": sum(map(len, FILES.values()))}
    weights = tmp_path / "weights"
    assert {p.name: p.read_bytes() for p in weights.iterdir() if not p.name.startswith(".")} == FILES
    assert all(f"/resolve/{COMMIT}/" in line for line in hub.asked if "/resolve/" in line)


def test_weights_as_bin_files_are_taken_where_there_are_no_others(hub: HubServer, tmp_path: Path) -> None:
    assert fetch(hub.url, tmp_path, "org/bin")[-1] == {"complete": True}
    assert (tmp_path / "weights/pytorch_model.bin").stat().st_size == 3000


def test_a_restarted_container_asks_the_hub_nothing(hub: HubServer, tmp_path: Path) -> None:
    fetch(hub.url, tmp_path, "org/open")
    hub.asked.clear()
    assert fetch(hub.url, tmp_path, "org/open") == [{"complete": True}]
    assert hub.asked == []


def test_a_file_that_changed_on_the_volume_is_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    fetch(hub.url, tmp_path, "org/open")
    (tmp_path / "weights/model.safetensors").unlink()
    assert fetch(hub.url, tmp_path, "org/open")[-1] == {"complete": True}
    assert (tmp_path / "weights/model.safetensors").read_bytes() == FILES["model.safetensors"]


@pytest.mark.parametrize("name", ["org/flaky", "org/cut"])
def test_what_passes_by_itself_is_tried_again(hub: HubServer, tmp_path: Path, name: str) -> None:
    assert fetch(hub.url, tmp_path, name)[-1] == {"complete": True}


def test_a_hub_that_stays_down_fails_the_download(hub: HubServer, tmp_path: Path) -> None:
    said = fetch(hub.url, tmp_path, "org/down")
    assert said[-1]["reason"] == "WeightsDownloadFailed"
    assert "503" in said[-1]["message"]


def test_a_volume_that_cannot_be_written_is_named(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file")
    assert fetch(hub.url, tmp_path, "org/open")[-1]["reason"] == "WeightsDownloadFailed"


def remote(hub: HubServer, name: str, folder: Path, **extra: str) -> dict[str, Any]:
    """An entrypoint's fields for a remote source."""
    directory = folder / "weights"
    env = {
        "POINTSMAN_SOURCE": f"hf://{name}",
        "POINTSMAN_REVISION_SHA": COMMIT,
        "POINTSMAN_MODEL_DIR": str(directory),
        "HF_ENDPOINT": hub.url,
        "POINTSMAN_HUB_RETRY_SECONDS": "0.01",
        **extra,
    }
    return {"env": env, "model": directory}


def test_an_engine_fetches_loads_and_serves(
    hub: HubServer, entrypoint: Callable[..., Entrypoint], tmp_path: Path
) -> None:
    pod = entrypoint(**remote(hub, "org/open", tmp_path))
    status = pod.until("Ready")
    assert status["timings"]["download"] > 0
    assert status["bytesTotal"] == len(FILES["model.safetensors"])


def test_an_engine_shows_that_it_downloads_and_stops_at_once_when_asked(
    hub: HubServer, entrypoint: Callable[..., Entrypoint], tmp_path: Path
) -> None:
    pod = entrypoint(**remote(hub, "org/slow", tmp_path))
    pod.until("Downloading")
    status = eventually(lambda: s if (s := pod.status())["bytesTotal"] else None, "the size is known")
    assert status["bytesTotal"] == sum(map(len, FILES.values()))
    assert pod.code("/readyz") == 503
    assert pod.process
    pod.process.send_signal(signal.SIGTERM)
    assert pod.wait(5) == 0


def test_wrong_arguments_end_a_long_download(
    hub: HubServer, entrypoint: Callable[..., Entrypoint], tmp_path: Path
) -> None:
    wrong = {"report": {"ok": False, "reason": "ArgumentsInvalid", "message": "no such thing"}, "report_s": 1}
    failure = entrypoint(script=wrong, **remote(hub, "org/slow", tmp_path)).failure()
    assert failure == {"reason": "ArgumentsInvalid", "message": "no such thing"}


@pytest.mark.parametrize(
    ("name", "reason"), [("org/down", "WeightsDownloadFailed"), ("org/nothing", "WeightsNotFound")]
)
def test_a_failed_download_is_the_termination_message(
    hub: HubServer, entrypoint: Callable[..., Entrypoint], tmp_path: Path, name: str, reason: str
) -> None:
    assert entrypoint(**remote(hub, name, tmp_path)).failure()["reason"] == reason
