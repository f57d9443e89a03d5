"""Which files of a model's repository an engine needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SMALL_SUFFIXES = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".py", ".vocab")
"""Configuration, tokenizer, chat template, and the code of models that bring some."""

WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt")

_SKIPPED_NAMES = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a repository; its size in bytes."""

    path: str
    size: int


class NoWeights(ValueError):
    """A repository without weights that can be served."""


def needed(files: Iterable[File]) -> tuple[File, ...]:
    """The files to fetch: one format of weights, safetensors before .bin, and the small files beside them.

    Folders (other formats, training states, pipelines) are left out. Raises NoWeights.
    """
    top = [file for file in files if "/" not in file.path and not file.path.startswith(".")]
    weights = _weights(top)
    if not weights:
        raise NoWeights("it has neither *.safetensors nor *.bin files at its top" + _instead(top))
    if not any(file.path in ("config.json", "params.json") for file in top):
        raise NoWeights("it has no config.json")
    small = [file for file in top if file.path.endswith(SMALL_SUFFIXES) and file not in weights]
    chosen = [*small, *weights]
    return tuple(sorted(chosen, key=lambda file: file.path))


def weight_bytes(files: Iterable[File]) -> int:
    """Bytes of those of the needed files that hold weights."""
    return sum(file.size for file in files if file.path.endswith(WEIGHT_SUFFIXES))


def _weights(files: list[File]) -> list[File]:
    safe = [file for file in files if file.path.endswith(".safetensors")]
    # Some repositories hold the same weights twice: as shards, and consolidated in the maker's own format.
    split = [file for file in safe if not file.path.startswith("consolidated")]
    if safe:
        return split or safe
    return [f for f in files if f.path.endswith((".bin", ".pt")) and f.path not in _SKIPPED_NAMES]


def _instead(files: list[File]) -> str:
    if any(file.path.endswith(".gguf") for file in files):
        return "; its GGUF files aren't loaded: use the repository with the original weights"
    return ""
