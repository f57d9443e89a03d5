"""The engine's process: checks the arguments with vLLM's own parser, waits for the word, and becomes vLLM.

One process does both, so that vLLM is imported once, while the entrypoint checks or fetches the weights. It
talks to the entrypoint over two pipes: one JSON line out (the report), one line in (go). This is the only
module that imports vLLM, and it does so late: `spawn` imports this module again in each worker process.

    python -m pointsman_engine.launch REPORT_FD GO_FD MODEL [OPTION...]
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import io
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

FORBIDDEN = {
    "allowed-local-media-path": "it opens files of the pod to clients",
    "api-key": "it locks the router out",
    "config": "it reads every argument from a file",
    "grpc": "it opens a port",
    "headless": "it leaves the engine without its API",
    "hf-token": "it would show a token",
    "io-processor-plugin": "it imports code by name",
    "log-config-file": "it builds objects named in a file",
    "logits-processors": "it imports code by name",
    "middleware": "it imports code by name",
    "reasoning-parser-plugin": "it imports code by name",
    "root-path": "it moves the routes the router knows",
    "ssl-ca-certs": "the engine's door is inside the cluster",
    "ssl-certfile": "the engine's door is inside the cluster",
    "ssl-keyfile": "the engine's door is inside the cluster",
    "tool-parser-plugin": "it imports code by name",
    "uds": "it moves the engine's door",
    "worker-cls": "it imports code by name",
    "worker-extension-cls": "it imports code by name",
}
"""Options that open a way in or load code: the operator refuses them, and so does the parser's side."""

SET_BY_OPERATOR = ("host", "port", "served-model-name")
"""Options whose parsed value has to be what stands in the argument of exactly that name."""

_SERVE_PARSERS = ("vllm.entrypoints.launchers.cli_args", "vllm.entrypoints.openai.cli_args")
"""Where releases of vLLM keep the parser of `vllm serve`, the newest first."""


def examine(words: Sequence[str], parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parses MODEL [OPTION...] and makes sure that nothing stands in for something else.

    vLLM's parser takes abbreviations and underscores, and the last of several equal options wins: each would
    slip past a check of names, so all are refused. Raises ValueError saying what is wrong.
    """
    known = {option for action in parser._actions for option in action.option_strings}
    seen: set[str] = set()
    for word in words[1:]:
        if not word.startswith("--"):
            raise ValueError(f"{word} isn't an argument: each has to be --name or --name=value")
        option = word.partition("=")[0]
        name = option.partition(".")[0]  # --some-json.key=value sets one key of a JSON argument
        if name.lstrip("-") in FORBIDDEN:
            raise ValueError(f"{name} isn't allowed here: {FORBIDDEN[name.lstrip('-')]}")
        if name not in known:
            raise ValueError(f"vLLM has no argument {name}{_meant(name, known)}")
        if option in seen:
            raise ValueError(f"{option} is given twice")
        seen.add(option)
    parsed = _parse(words, parser)
    _compare(words, parsed)
    return parsed


def _meant(name: str, known: set[str]) -> str:
    """A hint at the name that was meant: vLLM's parser would have taken it, we don't."""
    plain = name.replace("_", "-")
    options = [plain] if plain in known else sorted(option for option in known if option.startswith(plain))
    if options:
        return f"; write {' or '.join(options[:3])} in full"
    near = difflib.get_close_matches(plain, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _parse(words: Sequence[str], parser: argparse.ArgumentParser) -> argparse.Namespace:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            parsed = parser.parse_args(list(words))
    except SystemExit:
        raise ValueError(_plain(said.getvalue())) from None
    except Exception as error:  # vLLM's parser raises whatever its converters raise
        raise ValueError(_plain(str(error) or type(error).__name__)) from error
    return parsed


def _plain(said: str) -> str:
    """The parser's message without its program's name and without addresses of functions."""
    message = said.strip().rpartition("error: ")[2] or "vLLM's parser refused the arguments"
    message = re.sub(r"<function \S+ at 0x[0-9a-f]+>", "what it has to be", message)
    return " ".join(message.removeprefix("Error: ").split())


def _compare(words: Sequence[str], parsed: argparse.Namespace) -> None:
    given = {option: value for option, _, value in (word.partition("=") for word in words[1:])}
    if parsed.model_tag != words[0]:
        raise ValueError(f"vLLM would serve {parsed.model_tag!r} instead of {words[0]!r}")
    for name in SET_BY_OPERATOR:
        if f"--{name}" not in given:
            continue
        value = getattr(parsed, name.replace("-", "_"))
        text = value[0] if isinstance(value, list) and len(value) == 1 else value
        if str(text) != given[f"--{name}"]:
            raise ValueError(f"vLLM understands --{name} as {text!r} instead of {given[f'--{name}']!r}")


def serve_parser() -> argparse.ArgumentParser:
    """The parser of `vllm serve`, of whichever release is installed. Raises ImportError."""
    flexible = importlib.import_module("vllm.utils.argparse_utils").FlexibleArgumentParser
    for module in _SERVE_PARSERS:
        try:
            make = importlib.import_module(module).make_arg_parser
        except ModuleNotFoundError:
            continue
        parser: argparse.ArgumentParser = make(flexible(prog="vllm serve"))
        return parser
    raise ImportError("this vLLM keeps its argument parser in an unknown place")


def validate(parsed: argparse.Namespace) -> None:
    """vLLM's own checks of arguments against each other. Raises ValueError."""
    for module in _SERVE_PARSERS:
        with contextlib.suppress(ModuleNotFoundError):
            try:
                importlib.import_module(module).validate_parsed_serve_args(parsed)
            except TypeError as error:
                raise ValueError(_plain(str(error))) from error
            return


def report_on(words: Sequence[str]) -> dict[str, object]:
    """What the entrypoint wants to know: whether the arguments are right, and what they ask for."""
    try:
        parsed = examine(words, serve_parser())
        validate(parsed)
    except ImportError as error:
        return {"ok": False, "reason": "EngineFailed", "message": f"vLLM can't be imported: {error}"}
    except ValueError as error:
        return {"ok": False, "reason": "ArgumentsInvalid", "message": str(error)}

    def count(name: str) -> int:
        return int(getattr(parsed, name, None) or 1)

    local = getattr(parsed, "data_parallel_size_local", None) or count("data_parallel_size")
    return {
        "ok": True,
        "devices": count("tensor_parallel_size") * count("pipeline_parallel_size") * int(local),
    }


def become_vllm(words: Sequence[str]) -> None:
    """Runs vLLM's command line in this process; returns when it does."""
    sys.argv = ["vllm", "serve", *words]
    cli: Any = importlib.import_module("vllm.entrypoints.cli.main")
    cli.main()


def main(argv: Sequence[str]) -> None:
    """See the module's docstring."""
    report_fd, go_fd, words = int(argv[0]), int(argv[1]), argv[2:]
    with os.fdopen(report_fd, "w") as out:
        out.write(json.dumps(report_on(words)) + "\n")
    with os.fdopen(go_fd) as go:
        if go.readline().strip() != "go":
            return  # the entrypoint is gone, or has found something wrong
    become_vllm(words)


if __name__ == "__main__":
    main(sys.argv[1:])
