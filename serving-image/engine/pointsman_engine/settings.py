"""What the pod tells the entrypoint, read once from the environment.

Knows the names of the variables and their defaults, and nothing of what is done with them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pointsman_engine.proof import Question, read_questions

WEIGHTS = Path("/weights")
REMOTE = "hf://"
MOUNTED = "pvc://"


@dataclass(frozen=True, slots=True)
class Settings:
    """The entrypoint's settings; durations in seconds."""

    source: str
    """The declared source of the model, as written: hf://, pvc:// or file://."""
    commit: str
    """Commit of a remote source, as resolved when the revision was born."""
    model_dir: Path
    status_port: int
    drain_s: float
    settle_s: float
    """How long routers may take to learn that this engine leaves."""
    watch_s: float
    """How often the engine, once ready, is asked for its health and for what is in flight."""
    end_patience_s: float
    """How long the engine may take to end once nothing is in flight, or the drain's time is over."""
    device: str
    """What the pod was given: cpu, cuda or something else; empty when nobody said."""
    image_device: str
    """What this image's engine computes on."""
    default_args: tuple[str, ...]
    """Arguments that the image wants where the given ones say nothing."""
    cache_seed: Path | None
    """A folder of the image from which the engine's cache is filled."""
    questions: tuple[Question, ...]
    """What the model must know before it is ready."""
    termination_log: Path
    control_socket: Path
    launcher: tuple[str, ...]
    """The command that checks arguments and becomes the engine; empty: ours."""

    @property
    def remote(self) -> bool:
        """Whether the weights must be fetched before the engine can start."""
        return self.source.startswith(REMOTE)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings out of environment variables. Raises ValueError with a plain message."""
    source = environment.get("POINTSMAN_SOURCE", "")
    return Settings(
        source=source,
        commit=environment.get("POINTSMAN_REVISION_SHA", ""),
        model_dir=Path(environment.get("POINTSMAN_MODEL_DIR") or model_dir(source)),
        status_port=int(_number(environment, "POINTSMAN_STATUS_PORT", 8001)),
        drain_s=_number(environment, "POINTSMAN_DRAIN_SECONDS", 300),
        settle_s=_number(environment, "POINTSMAN_SETTLE_SECONDS", 5),
        watch_s=_number(environment, "POINTSMAN_WATCH_SECONDS", 2),
        end_patience_s=_number(environment, "POINTSMAN_END_PATIENCE_SECONDS", 20),
        device=environment.get("POINTSMAN_DEVICE", ""),
        image_device=environment.get("POINTSMAN_IMAGE_DEVICE", ""),
        default_args=tuple(shlex.split(environment.get("POINTSMAN_DEFAULT_ARGS", ""))),
        cache_seed=Path(seed) if (seed := environment.get("POINTSMAN_CACHE_SEED")) else None,
        questions=read_questions(environment.get("POINTSMAN_PROOF", "")),
        termination_log=termination_log(environment),
        control_socket=control_socket(environment),
        launcher=tuple(shlex.split(environment.get("POINTSMAN_LAUNCHER", ""))),
    )


def termination_log(environment: Mapping[str, str]) -> Path:
    """The file that becomes the container's termination message."""
    return Path(environment.get("POINTSMAN_TERMINATION_LOG") or "/dev/termination-log")


def control_socket(environment: Mapping[str, str]) -> Path:
    """Where `drain` finds the running entrypoint."""
    return Path(environment.get("POINTSMAN_CONTROL_SOCKET") or "/tmp/pointsman-engine.sock")


def model_dir(source: str) -> str:
    """The directory that a source's weights are in, inside the pod."""
    scheme, _, rest = source.partition("://")
    if scheme == "hf":
        return str(WEIGHTS / "model")
    if scheme == "pvc":
        return str(WEIGHTS / rest.partition("/")[2].strip("/"))
    if scheme == "file" and rest.startswith("/"):
        return rest
    raise ValueError(
        f"POINTSMAN_SOURCE is {source!r}; it has to be hf://org/name, pvc://claim/path or file:///path"
    )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1
    if value < 0:
        raise ValueError(f"{name} is {text!r}; it has to be a number that isn't negative")
    return value
