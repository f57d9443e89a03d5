"""`pointsman prompt import`: PromptVersions of prompts that lie elsewhere, as YAML. All of them or none."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pointsman.app import prompt_drafts, prompt_sources
from pointsman.app.prompt_drafts import Draft, Made, Unfit


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; returns its exit status: 0, or 2 where nothing was written, and why is told."""
    try:
        drafts = [draft for draft in _drafts(arguments) if arguments.label in (None, *draft.labels)]
        if not drafts:
            raise Unfit(f"no prompt bears the label {arguments.label!r}")
        found = prompt_drafts.distinct((it, prompt_drafts.made(it, arguments.family)) for it in drafts)
        if arguments.output is None:
            sys.stdout.write("---\n".join(written(one.manifest) for one in found))
        else:
            _write(Path(arguments.output), found)
    except (Unfit, OSError, UnicodeError) as error:
        print(f"pointsman prompt import: {error}", file=sys.stderr)
        return 2
    for one in found:
        for note in one.notes:
            print(f"note: {note}", file=sys.stderr)
    return 0


def _drafts(arguments: argparse.Namespace) -> Iterator[Draft]:
    for path in arguments.paths:
        if path == "-":
            yield from prompt_sources.parse(sys.stdin.read(), "standard input", arguments.role)
        else:
            yield from prompt_sources.read(Path(path), arguments.role)


def written(manifest: Mapping[str, Any]) -> str:
    """A manifest as people want to read it: texts of several lines as such."""
    text: str = yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def _write(folder: Path, found: list[Made]) -> None:
    """One file each. What is there already must be the same: a PromptVersion never changes."""
    texts = {folder / f"{one.name}.yaml": written(one.manifest) for one in found}
    for path, text in texts.items():
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise Unfit(f"{path} is there and says something else; a PromptVersion never changes: rename one")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
        print(path)


class _Dumper(yaml.SafeDumper):
    """YAML with literal blocks."""


def _represented(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represented)
