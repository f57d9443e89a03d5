"""How near two texts are, by an embedding service with OpenAI's /v1/embeddings: a cosine in thousandths."""

from __future__ import annotations

import math
from typing import Any

from pointsman_trial.asking import Asker, CannotJudge, Reply
from pointsman_trial.document import Service


def nearness(asker: Asker, service: Service, one: str, other: str) -> int:
    """Cosine of two texts' embeddings in thousandths, -1000 to 1000. Raises CannotJudge."""
    if not one.strip() or not other.strip():
        return 0  # services refuse empty texts, and nothing is like nothing
    body: dict[str, Any] = {"input": [one, other], "encoding_format": "float"}
    body |= {"model": service.model} if service.model else {}
    body |= {"dimensions": service.dimensions} if service.dimensions else {}
    reply = asker.post(
        service.url, body, what="the embedding service", token_file=service.token_file, outside=True
    )
    first, second = _vectors(reply)
    return cosine_permille(first, second)


def _vectors(reply: Reply) -> tuple[list[float], list[float]]:
    if reply.status != 200:
        said = f"the embedding service answers {reply.status}: {reply.message()}"
        raise CannotJudge("EmbeddingFailed", said)
    try:
        rows = sorted(reply.json()["data"], key=lambda row: row["index"])
        first, second = ([float(number) for number in row["embedding"]] for row in rows)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise CannotJudge("EmbeddingFailed", "the embedding service answers no two vectors") from None
    if len(first) != len(second):
        raise CannotJudge("EmbeddingFailed", "the embedding service answers vectors of unlike lengths")
    return first, second


def cosine_permille(one: list[float], other: list[float]) -> int:
    """Cosine of two vectors in thousandths, rounded down, so that a threshold is reached or isn't."""
    length = math.hypot(*one) * math.hypot(*other)
    if not length or not math.isfinite(length):
        raise CannotJudge("EmbeddingFailed", "the embedding service answers a vector without a length")
    cosine = math.fsum(a * b for a, b in zip(one, other, strict=True)) / length
    return math.floor(1000 * max(-1.0, min(1.0, cosine)) + 1e-9)
