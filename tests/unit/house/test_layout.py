"""House rules that no linter has: where things lie, how long they may get, what each package may import.

The rules are ARCHITECTURE.md's. A case that fails names the file and what would be right.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = {
    "pointsman": ROOT / "operator/pointsman",
    "pointsman_router": ROOT / "serving-image/router/pointsman_router",
    "pointsman_engine": ROOT / "serving-image/engine/pointsman_engine",
    "pointsman_trial": ROOT / "serving-image/trial/pointsman_trial",
}
ALLOWED: dict[str, set[str]] = {
    "pointsman": set(),
    "pointsman/api": {"pointsman", "pydantic", "pydantic_core"},
    "pointsman/app": {
        "pointsman",
        "aiohttp",
        "huggingface_hub",
        "kopf",
        "orjson",
        "prometheus_client",
        "pydantic",
        "uvloop",
        "yaml",
    },
    "pointsman/core": {"pointsman", "pointsman_router", "pydantic"},
    "pointsman/crdgen": {"pointsman", "pydantic", "yaml"},
    "pointsman/engine": {"pointsman", "orjson", "prometheus_client", "pydantic"},
    "pointsman/kube": {"pointsman", "aiohttp", "kubernetes", "orjson"},
    "pointsman/signals": {"pointsman", "aiohttp", "orjson"},
    "pointsman_engine": {"pointsman_engine", "huggingface_hub", "vllm"},
    "pointsman_router": {
        "pointsman_router",
        "httptools",
        "orjson",
        "prometheus_client",
        "uvloop",
        "xxhash",
    },
    "pointsman_router/config.py": {"pointsman_router"},
    "pointsman_router/scale.py": set(),
    "pointsman_router/settings.py": set(),
    "pointsman_trial": {"pointsman_trial"},
    "pointsman_trial/schemas.py": {"pointsman_trial", "jsonschema", "referencing"},
    "pointsman_router/feeds/standalone.py": {"pointsman_router", "yaml"},
}
"""What a package may import beside the standard library. `pointsman_router/config.py` is the contract between
operator and router, so with its `settings.py` it stands on nothing; so does `scale.py`, on which both
count."""
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40

SOURCES = sorted(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))
CODE = [*SOURCES, *(path for folder in ("e2e", "bench") for path in sorted((ROOT / folder).rglob("*.py")))]
EVERYTHING = [*CODE, *sorted((ROOT / "tests").rglob("*.py"))]


def name(path: Path) -> str:
    """A file as the reader knows it."""
    return str(path.relative_to(ROOT))


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports from outside the standard library."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found - sys.stdlib_module_names


def rule_for(path: Path) -> str:
    """The row of ALLOWED that a file falls under: the longest that fits."""
    for package, folder in PACKAGES.items():
        if folder in path.parents:
            inside = f"{package}/{path.relative_to(folder)}/"
            return max((row for row in ALLOWED if inside.startswith(f"{row}/")), key=len)
    raise AssertionError(f"{name(path)} is in no package")


def test_the_folder_operator_is_no_package() -> None:
    # With an __init__.py it would shadow the standard library's `operator` for whoever starts at the root.
    assert not (ROOT / "operator/__init__.py").exists()
    code = "import collections, operator; print(operator.__file__)"
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert not printed.startswith(str(ROOT)), printed


def test_one_distribution_holds_all_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {Path(package).name for package in wheel} == set(PACKAGES)


def test_no_module_is_called_utils() -> None:
    banned = {"utils", "util", "helpers", "misc"}
    assert [name(path) for path in EVERYTHING if path.stem.strip("_") in banned] == [], (
        "name it after what it knows"
    )


def test_a_module_says_why_it_exists() -> None:
    silent = [
        name(path)
        for path in CODE
        if (tree := ast.parse(path.read_text())).body and not ast.get_docstring(tree)
    ]
    assert silent == [], "the first statement is a docstring: why, and what it must not know"


def test_a_module_fits_a_reader() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in EVERYTHING}
    long = {path: lines for path, lines in lengths.items() if lines > LONGEST_MODULE}
    assert long == {}, "which two things does it do?"


def test_a_function_fits_a_screen() -> None:
    long = [
        f"{name(path)}: {node.name} has {size} lines"
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert long == []


def test_every_package_imports_only_what_it_may() -> None:
    foreign = {
        name(path): sorted(extra) for path in SOURCES if (extra := imported(path) - ALLOWED[rule_for(path)])
    }
    assert foreign == {}, "ALLOWED, above, says what each package may import"


def test_no_test_is_skipped_and_nothing_is_left_for_later() -> None:
    marks = ["TO" + "DO", "FIX" + "ME", "pytest." + "skip", "mark." + "skip", "x" + "fail"]
    found = [(name(path), mark) for path in EVERYTHING for mark in marks if mark in path.read_text()]
    assert found == []
