"""The example of a router that runs alone is one, and shows everything there is."""

import asyncio
import re
import signal
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import yaml

from pointsman_router import settings
from pointsman_router.feeds import standalone
from pointsman_router.feeds.standalone import FileConfig
from tests.router.alone.running import ANYWHERE, running
from tests.router.stack import Stack, post

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples/router-alone/router.yaml"
PAGE = ROOT / "docs/router.md"
LEFT_OUT = (
    {
        "format",
        "services[].generation",
        "services[].prompts[].digest",
        "services[].variants[].startSeconds",
    }
    | {f"services[].variants[].upstream.{name}" for name in ("service", "podPrefix", "port", "statusPort")}
    | {"tls.certFile", "tls.keyFile"}
)
"""What only an operator writes, and the files of a certificate, since they would have to be there."""


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(map(str.capitalize, rest))


def paths(kind: Any, prefix: str = "") -> Iterator[str]:
    """Every field there is, by its path."""
    hints = get_type_hints(kind)
    for spec in fields(kind):
        path, hint = f"{prefix}{camel(spec.name)}", hints[spec.name]
        item = get_args(hint)[0] if get_origin(hint) is tuple else None
        if is_dataclass(item):
            yield from paths(item, f"{path}[].")
        elif is_dataclass(hint):
            yield from paths(hint, f"{path}.")
        else:
            yield path


def written(document: Any, prefix: str = "") -> Iterator[str]:
    """Every field that a document has."""
    for key, value in document.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from written(value, f"{path}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                yield from written(item, f"{path}[].")
        else:
            yield path


def test_the_example_is_read_by_the_router_and_shows_every_field() -> None:
    standalone.read(EXAMPLE)
    shown = set(written(yaml.safe_load(EXAMPLE.read_text())))
    assert set(paths(FileConfig)) - shown == LEFT_OUT


def test_what_it_calls_defaults_are_defaults() -> None:
    config = standalone.read(EXAMPLE)
    assert config.limits == settings.Limits()
    routing = config.services[0].routing
    for section in ("timeouts", "retries", "ejection", "engines", "picking"):
        assert getattr(routing, section) == getattr(settings.Routing(), section)


async def test_it_runs_with_engines_of_ours_in_it(stack: Stack, file: Path) -> None:
    engine = await stack.engine()
    document = yaml.safe_load(EXAMPLE.read_text())
    for one in document["services"]:
        for variant in one["variants"]:
            variant["upstream"]["addresses"] = [engine.address]
    document["keys"] = []
    file.write_text(yaml.safe_dump({**document, **ANYWHERE}))
    async with running(f"--config={file}") as router:
        for model in ("gpt-4o-mini", "support-lora"):
            answer = await router.ask(post("/v1/chat/completions", {"model": model, "messages": []}))
            assert answer.status == 200, answer.body
        assert (await router.ask(post("/v1/embeddings", {"model": "embed", "input": "x"}))).status == 200
        router.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(router.ended(), 5) == 0


@pytest.mark.parametrize("section", [camel(spec.name) for spec in fields(FileConfig)])
def test_the_page_explains_every_section(section: str) -> None:
    assert f"`{section}" in PAGE.read_text()


def test_files_on_the_page_are_files_of_the_router(file: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        document = {"name": "x", **yaml.safe_load(block)}
        document.pop("tls", None)
        file.write_text(yaml.safe_dump(document))
        standalone.read(file)
