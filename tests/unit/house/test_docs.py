"""What people read holds together: links lead somewhere, and commands that are named exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "charts/*/*.md",
        "examples/**/*.md",
        "e2e/**/*.md",
        "bench/**/*.md",
    )
    for path in ROOT.glob(pattern)
)


def name(path: Path) -> str:
    """A page as the reader knows it."""
    return str(path.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """What a link after `#` may name: headings, the way they're rendered."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        if not other.exists() or (anchor and anchor not in anchors(other.read_text())):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word
        for command in re.findall(r"(?:`|^\s*)make ([a-zA-Z0-9=. /_-]+)", page.read_text(), re.MULTILINE)
        for word in command.split()
        if re.fullmatch(r"[a-z0-9-]+", word)
    }
    assert named - targets == set()


def test_every_target_is_explained() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = {target for line in re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE) for target in line.split()}
    explained = set(re.findall(r"^([a-z0-9-]+):.*## ", text, re.MULTILINE))
    assert phony - {"$(checks)"} == explained


def test_every_decision_is_in_the_table() -> None:
    pages = {path.name for path in (ROOT / "docs/adr").glob("0*.md")}
    assert set(re.findall(r"\((0[^)]+\.md)\)", (ROOT / "docs/adr/README.md").read_text())) == pages


def test_the_tour_names_files_that_are_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    files = re.findall(r"^\d\. \*\*`([^`]+)`\*\*", text, re.MULTILINE)
    assert 0 < len(files) <= 8
    assert [file for file in files if not (ROOT / file).is_file()] == []
