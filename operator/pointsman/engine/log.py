"""Logs: JSON, one line a pass at info, references instead of contents.

What a line may hold is decided here: names, versions, counts, digests, reasons. Never specs, prompts or
secrets. Knows the standard library's logging and nothing else.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {
    "message",
    "asctime",
    "taskName",
}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then whatever `extra` gave."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({key: value for key, value in record.__dict__.items() if _is_extra(key, value)})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Sends everything to `stream` (stderr) as JSON; libraries only from warnings on, unless debugging."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for library in ("kopf", "kubernetes", "aiohttp", "asyncio"):
        chatty = level.upper() == "DEBUG"
        logging.getLogger(library).setLevel(logging.INFO if chatty else logging.WARNING)
    # It warns that it leaves signals alone, which is what it's told to do.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)


def log_pass(
    logger: logging.Logger,
    *,
    kind: str,
    namespace: str,
    name: str,
    seconds: float,
    because: str = "",
    error: BaseException | None = None,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """The one line of a pass. `fields`: generation, decision, applied, deleted, refused, retryAfter …"""
    extra = {
        "object": f"{kind}/{namespace}/{name}",
        "took": round(seconds, 4),
        "because": because,
        **(fields or {}),
    }
    if error is None:
        logger.info("pass", extra=extra)
        return
    # The server's words are short; a traceback is only worth its lines where nobody expected the error.
    extra["error"] = f"{type(error).__name__}: {error}"[:1000]
    logger.warning("pass failed", extra=extra, exc_info=None if is_expected(error) else error)


def is_expected(error: BaseException) -> bool:
    """Whether this is an error of the world rather than a defect of ours."""
    return isinstance(error, TimeoutError) or bool(getattr(error, "message", None))


def _is_extra(key: str, value: Any) -> bool:
    return key not in _STANDARD and not key.startswith("_") and value is not None
