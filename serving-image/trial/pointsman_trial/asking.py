"""Asks over HTTP, with patience: what got no answer, or one that says to come back later, is asked again.

Redirects are refused, since a token or a prompt must not go where nobody sent it. Knows nothing of what is
asked. Safe to use from several threads.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pointsman_trial.bounded import shorten

LATER = frozenset({429, 502, 503, 504})
"""Statuses that say: not now."""
LARGEST_ANSWER = 4 * 1024 * 1024
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0


class CannotJudge(Exception):
    """The trial can't say yes or no; `reason` is one CamelCase word, `message` says what is wrong."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = shorten(message, 1000)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None where it's none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def message(self) -> str:
        """What an error says of itself, in OpenAI's shape or as text."""
        value = self.json()
        if isinstance(value, dict):
            inner = value.get("error", value)
            value = inner.get("message", "") if isinstance(inner, dict) else inner
        return str(value) if isinstance(value, str) else self.body[:1000].decode("utf-8", "replace")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Asker:
    """One trial's way out."""

    def __init__(
        self,
        deadline_s: float,
        request_s: float,
        tries: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._until = clock() + deadline_s
        self._deadline_s, self._request_s, self._tries = deadline_s, request_s, tries
        # A router is in the cluster; services of users may be behind a proxy.
        self._inside = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
        self._outside = urllib.request.build_opener(_NoRedirect())

    def post(
        self,
        url: str,
        document: Mapping[str, Any],
        *,
        what: str,
        later: frozenset[int] = LATER,
        token_file: str = "",
        outside: bool = False,
    ) -> Reply:
        """The last answer, whatever its status but those that say `later`. Raises CannotJudge."""
        request = urllib.request.Request(url, json.dumps(document).encode(), method="POST")
        request.add_header("Content-Type", "application/json")
        request.add_header("User-Agent", "pointsman-trial")
        if token_file:
            request.add_unredirected_header("Authorization", f"Bearer {_token(token_file)}")
        opener = self._outside if outside else self._inside
        pause, said = FIRST_PAUSE_S, ""
        for attempt in range(self._tries):
            if attempt:
                self._wait(pause, what, said)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            try:
                reply = self._once(opener, request)
            except (OSError, http.client.HTTPException, ValueError) as error:
                said = f"no answer ({_cause(error)})"
                continue
            if reply.status not in later:
                return reply
            said = f"{reply.status}: {shorten(reply.message())}"
        raise CannotJudge("Unanswered", f"{what} got no answer in {self._tries} tries; the last: {said}")

    def _once(self, opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> Reply:
        until = min(self._clock() + self._request_s, self._until)
        try:
            with opener.open(request, timeout=max(0.1, until - self._clock())) as response:
                return Reply(response.status, self._read(response, until))
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, self._read(error, until))

    def _read(self, response: Any, until: float) -> bytes:
        """The whole body. An answer that comes in drops is one that doesn't come."""
        body = bytearray()
        while piece := response.read1(65536):
            body += piece
            if len(body) > LARGEST_ANSWER:
                raise OSError(f"larger than {LARGEST_ANSWER} bytes")
            if self._clock() > until:
                raise TimeoutError("not complete in time")
        return bytes(body)

    def _wait(self, pause: float, what: str, said: str) -> None:
        if self._clock() + pause >= self._until:
            self.late(f"{what} had {said}")
        self._sleep(pause)

    def check(self, what: str) -> None:
        """Raises CannotJudge once all of the time is over."""
        if self._clock() >= self._until:
            self.late(what)

    def late(self, what: str) -> NoReturn:
        raise CannotJudge("DeadlineExceeded", f"not done within {self._deadline_s:.0f} s: {what}")


def _token(path: str) -> str:
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotJudge("TokenMissing", f"the token in {path} can't be read: {error}") from None
    if not token or not token.isprintable() or not token.isascii():
        # What is wrong with it isn't shown: it may be most of a secret.
        raise CannotJudge("TokenMissing", f"the token in {path} is empty or no line of printable ASCII")
    return token


def _cause(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return shorten(f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__)
