"""The engine's argument list: what was given, completed by what the image wants.

Pure. It doesn't know what the arguments mean to the engine, whose own parser judges them (launch.py); it only
reads the few that the entrypoint needs itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

QUIET_PATHS = "--disable-access-log-for-endpoints=/health,/metrics"
"""Probes and measurements come every other second; each would be a line in the log."""


EXECUTOR = "distributed-executor-backend"


@dataclass(frozen=True, slots=True)
class Arguments:
    """What `vllm serve` is called with: the model first, as it wants it, then options."""

    model: str
    options: tuple[str, ...]

    @property
    def command_line(self) -> list[str]:
        return [self.model, *self.options]

    def value(self, name: str) -> str | None:
        """Value of the option `--name=value`; empty for a flag, None where it isn't given."""
        for option in self.options:
            given, _, value = option.partition("=")
            if given == f"--{name}":
                return value
        return None

    @property
    def host(self) -> str:
        """Address at which the entrypoint finds the engine."""
        given = self.value("host") or "0.0.0.0"
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(given, given)

    @property
    def port(self) -> int:
        text = self.value("port") or "8000"
        return int(text) if text.isdigit() else 8000

    @property
    def served_name(self) -> str:
        """The name that clients give the model."""
        return self.value("served-model-name") or self.model


def complete(given: Sequence[str], model: str, defaults: Iterable[str]) -> Arguments:
    """Takes `--model` to the front, and adds those `defaults` that `given` says nothing about."""
    words = _joined(given)
    named = [word.removeprefix("--model=") for word in words if word.startswith("--model=")]
    options = [word for word in words if not word.startswith("--model=")]
    if options and not options[0].startswith("-"):
        named.insert(0, options.pop(0))
    said = {subject(word) for word in options}
    if any(_is_parallel(word) for word in options):
        said.add(EXECUTOR)  # the image's choice is for one worker
    added = [word for word in defaults if subject(word) not in said]
    # A second --model is left where it is, for the engine's parser to meet and the check to refuse.
    extra = [f"--model={other}" for other in named[1:]]
    return Arguments(named[0] if named else model, (*options, *extra, *added))


def subject(option: str) -> str:
    """What an option is about: `--no-enforce-eager` and `--enforce_eager=x` are both about enforce-eager."""
    name = option.partition("=")[0].lstrip("-").replace("_", "-")
    return name.removeprefix("no-")


def _is_parallel(word: str) -> bool:
    name, _, value = word.partition("=")
    return name in ("--tensor-parallel-size", "--pipeline-parallel-size") and value != "1"


def _joined(words: Sequence[str]) -> list[str]:
    """`--model x` as `--model=x`, for the one option that has to be found."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--model":
            joined[-1] = f"--model={word}"
        else:
            joined.append(word)
    return joined
