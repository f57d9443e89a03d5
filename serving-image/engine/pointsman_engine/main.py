"""The command line: `pointsman-engine serve -- ARGS`, `drain`, `resolve URI`, `--version`."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence

from pointsman_engine.outcome import Reason, write_termination
from pointsman_engine.settings import control_socket, read_settings, termination_log


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command and exits with its status."""
    words = list(sys.argv[1:] if argv is None else argv)
    # What follows `--` is the engine's, whatever it looks like.
    ours, engines = _split(words)
    parsed = _parser().parse_args(ours)
    match parsed.command:
        case "serve":
            code = _serve(engines)
        case "drain":
            from pointsman_engine.drain import ask_for_drain

            code = ask_for_drain(control_socket(os.environ))
        case _:
            from pointsman_engine.resolve import run

            code = run(parsed.uri, parsed.revision)
    sys.stdout.flush()
    # Threads that still wait for the hub or for a pipe must not hold up an end that is decided.
    os._exit(code)


def _serve(engines: Sequence[str]) -> int:
    from pointsman_engine import serve

    try:
        settings = read_settings(os.environ)
    except ValueError as error:
        print(f"pointsman-engine: {error}", flush=True)
        reason = {"reason": str(Reason.ARGUMENTS_INVALID), "message": str(error)}
        write_termination(termination_log(os.environ), reason)
        return 1
    return serve.run(settings, engines)


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    if "--" not in words:
        return list(words), []
    at = list(words).index("--")
    return list(words[:at]), list(words[at + 1 :])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pointsman-engine", description="Runs one model's engine in a pod.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "serve", help="check, fetch, load and serve a model; the engine's arguments follow --"
    )
    commands.add_parser("drain", help="take the running engine out of routing and wait for what is in flight")
    resolve = commands.add_parser("resolve", help="say what a model's repository or volume holds")
    resolve.add_argument("uri", help="hf://org/name, or pvc://claim/path where that is mounted")
    resolve.add_argument("--revision", default="", help="branch, tag or commit; default: the hub's own")
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("pointsman")
    except importlib.metadata.PackageNotFoundError:
        return os.environ.get("POINTSMAN_VERSION", "unknown")  # images hold the package alone
