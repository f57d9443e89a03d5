"""Looks at a model's directory before an engine is started on it: is everything there, whole and readable?

Reads headers only. Raises StartFailure with a message that names the file and what would be right.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pointsman_engine.outcome import Reason, StartFailure

WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".gguf")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
)
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_NOT_WEIGHTS = ("training_args.bin", "optimizer.pt", "scheduler.pt")


def check_weights(directory: Path, *, dummy: bool = False) -> list[tuple[str, int]]:
    """Names and sizes in bytes of the weight files, in the order in which engines load them.

    With `dummy` (an engine that makes its weights up) only the configuration has to be there.
    """
    _check_directory(directory)
    if not any((directory / name).is_file() for name in ("config.json", "params.json")):
        if not list(directory.glob("*.gguf")):
            raise _missing(f"{directory} has no config.json, so it isn't a model's directory", directory)
    elif (directory / "config.json").is_file():
        config = _read_json(directory / "config.json", Reason.WEIGHTS_NOT_FOUND)
        if not isinstance(config, dict):
            raise StartFailure(Reason.WEIGHTS_NOT_FOUND, f"{directory}/config.json isn't a JSON object")
    if dummy:
        return []
    files = weight_files(directory)
    if not files:
        raise _missing(f"{directory} has no weights (*.safetensors or *.bin)", directory)
    for path in files:
        _check_file(path)
    return [(path.name, path.stat().st_size) for path in files]


def weight_files(directory: Path) -> list[Path]:
    """The weight files that an engine would load: those of an index, else safetensors first."""
    for index in _INDEXES:
        if (directory / index).is_file():
            table = _read_json(directory / index, Reason.WEIGHTS_NOT_FOUND)
            shards = sorted(set(table.get("weight_map", {}).values())) if isinstance(table, dict) else []
            absent = [name for name in shards if not (directory / name).is_file()]
            if absent:
                raise StartFailure(
                    Reason.WEIGHTS_NOT_FOUND,
                    f"{directory} lacks {len(absent)} of the {len(shards)} weight files that {index} names, "
                    f"among them {absent[0]}",
                )
            if shards:
                return [directory / name for name in shards]
    for suffix in WEIGHT_SUFFIXES:
        found = sorted(p for p in directory.glob(f"*{suffix}") if p.name not in _NOT_WEIGHTS)
        if found:
            return found
    return []


def parameters(directory: Path) -> dict[str, int]:
    """How many parameters of each number format the weight files hold, by safetensors' names.

    Empty where the weights are of another kind. To be called on files that `check_weights` passed.
    """
    counted: Counter[str] = Counter()
    for path in weight_files(directory):
        if path.suffix != ".safetensors":
            return {}
        with path.open("rb") as file:
            header = file.read(struct.unpack("<Q", file.read(8))[0])
        for name, entry in json.loads(header).items():
            if name != "__metadata__":
                counted[str(entry["dtype"])] += math.prod(entry["shape"])
    return dict(counted)


def check_tokenizer(directory: Path) -> None:
    """Whether the tokenizer's files are there and its JSON is whole."""
    if not any((directory / name).is_file() for name in TOKENIZER_FILES) and not list(
        directory.glob("*.tiktoken")
    ):
        raise StartFailure(
            Reason.TOKENIZER_INVALID,
            f"{directory} has no tokenizer: none of {', '.join(TOKENIZER_FILES)} is there; put the "
            f"tokenizer's files beside the weights. It holds {_listing(directory)}",
        )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = directory / name
        if path.is_file():
            content = _read_json(path, Reason.TOKENIZER_INVALID)
            if not isinstance(content, dict) or (name == "tokenizer.json" and "model" not in content):
                raise StartFailure(Reason.TOKENIZER_INVALID, f"{path} isn't a tokenizer's description")


def _check_directory(directory: Path) -> None:
    if not directory.exists():
        parent = next(p for p in directory.parents if p.exists())
        raise _missing(f"{directory} isn't there", parent)
    if not directory.is_dir():
        raise StartFailure(Reason.WEIGHTS_NOT_FOUND, f"{directory} is a file; a model is a directory")
    if not os.access(directory, os.R_OK | os.X_OK):
        raise _unreadable(directory)


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(8)
            if path.suffix == ".safetensors":
                _check_safetensors(path, size, head, file.read(_header_length(head, size)))
    except PermissionError:
        raise _unreadable(path) from None
    except OSError as error:
        raise StartFailure(Reason.WEIGHTS_NOT_FOUND, f"{path} can't be read: {error.strerror}") from error
    if path.suffix != ".safetensors" and len(head) < 8:
        raise StartFailure(Reason.WEIGHTS_NOT_FOUND, f"{path} is empty or cut short ({size} bytes)")


def _header_length(head: bytes, size: int) -> int:
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
    return int(length) if length <= size - 8 else 0


def _check_safetensors(path: Path, size: int, head: bytes, header: bytes) -> None:
    """The header says where the last tensor ends, which has to be the end of the file."""
    if head.startswith(b"version "):
        raise StartFailure(
            Reason.WEIGHTS_NOT_FOUND, f"{path} is a Git LFS pointer, not the weights: fetch the real file"
        )
    try:
        tensors = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise StartFailure(
            Reason.WEIGHTS_NOT_FOUND, f"{path} isn't a whole safetensors file ({size} bytes)"
        ) from None
    expected = 8 + len(header) + max(ends, default=0)
    if size < expected:
        raise StartFailure(
            Reason.WEIGHTS_NOT_FOUND, f"{path} is cut short: {size} of {expected} bytes are there"
        )


def _read_json(path: Path, reason: Reason) -> Any:
    try:
        return json.loads(path.read_bytes())
    except PermissionError:
        raise _unreadable(path, reason) from None
    except OSError as error:
        raise StartFailure(reason, f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise StartFailure(reason, f"{path} isn't JSON: {error}") from error


def _missing(what: str, where: Path) -> StartFailure:
    return StartFailure(Reason.WEIGHTS_NOT_FOUND, f"{what}; {where} holds {_listing(where)}")


def _unreadable(path: Path, reason: Reason = Reason.WEIGHTS_NOT_FOUND) -> StartFailure:
    owner = f"user {os.getuid()}, group {os.getgid()}"
    return StartFailure(reason, f"{path} may not be read by the engine ({owner}): allow others to read it")


def _listing(directory: Path, limit: int = 8) -> str:
    try:
        names: Iterable[str] = sorted(os.listdir(directory))
    except OSError:
        return "something that may not be listed"
    shown = list(names)[: limit + 1]
    if not shown:
        return "nothing"
    return ", ".join(shown[:limit]) + (", …" if len(shown) > limit else "")
