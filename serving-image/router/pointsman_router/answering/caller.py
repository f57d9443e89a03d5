"""The two ends an answer can go to, as an exchange sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Caller(Protocol):
    """Whoever asked: a client's connection, or a probe."""

    @property
    def paused(self) -> bool:
        """Whether it can't take more for now."""

    @property
    def address(self) -> bytes:
        """For the log."""

    def start(self, status: int, lines: list[bytes], length: int | None) -> None:
        """The answer's head: `length` bytes of body follow, or (None) an unknown number."""

    def body(self, data: bytes, complete: bool) -> None:
        """Part of the body, to be sent on at once; `complete` with the last part."""

    def chunks(self) -> Callable[[bytes], None] | None:
        """What takes chunks of the body with their framing, once its head is out; None where it has none."""

    def cut(self) -> None:
        """The answer can't be completed, and the caller must be able to see that."""

    def finished(self) -> None:
        """Nothing more comes of this exchange."""
