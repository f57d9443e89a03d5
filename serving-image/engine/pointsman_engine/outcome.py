"""How a start fails: the reasons, and the one message that becomes the container's termination message.

The reasons are a contract with the operator, which puts them into conditions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

MESSAGE_CHARS = 1000


class Reason(StrEnum):
    """Why an engine didn't start, or a source couldn't be resolved."""

    WEIGHTS_NOT_FOUND = "WeightsNotFound"
    WEIGHTS_DOWNLOAD_FAILED = "WeightsDownloadFailed"
    TOKENIZER_INVALID = "TokenizerInvalid"
    ARGUMENTS_INVALID = "ArgumentsInvalid"
    DEVICE_UNAVAILABLE = "DeviceUnavailable"
    OUT_OF_MEMORY = "OutOfMemory"
    ENGINE_FAILED = "EngineFailed"
    WRONG_ANSWERS = "WrongAnswers"
    SECRET_INVALID = "SecretInvalid"


class StartFailure(Exception):
    """The engine can't serve; `message` says what is wrong and what would be right, in plain words."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = shorten(message, MESSAGE_CHARS)


def shorten(text: str, limit: int) -> str:
    """`text` in one line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def write_termination(path: Path, document: Mapping[str, object]) -> None:
    """Writes one JSON object where the kubelet looks for it. Never raises: an exit status is to follow."""
    try:
        path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        print(f"pointsman-engine: {path} can't be written: {error}", flush=True)
