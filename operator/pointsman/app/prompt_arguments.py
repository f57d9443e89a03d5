"""What can be said to `pointsman prompt`. A module of its own, so that no other command imports a library."""

from __future__ import annotations

import argparse


def add_to(parser: argparse.ArgumentParser) -> None:
    """Adds what stands below `prompt`."""
    below = parser.add_subparsers(dest="prompt", required=True)
    taken = below.add_parser(
        "import",
        help="make PromptVersions of prompts that lie elsewhere",
        description=(
            "Reads exports of Langfuse and of MLflow's prompt registry (JSON), and texts (.txt, .md, "
            ".prompt) or folders of them, and writes PromptVersions as YAML. It talks to no server."
        ),
    )
    taken.add_argument(
        "paths", nargs="+", metavar="PATH", help="file or folder; - reads JSON from standard input"
    )
    taken.add_argument(
        "-o", "--output", metavar="DIR", help="folder for one file each (default: standard output)"
    )
    taken.add_argument("--label", help="only versions with this label (Langfuse) or alias (MLflow)")
    taken.add_argument("--family", default="", help="family of all of them (default: each one's own name)")
    taken.add_argument(
        "--role",
        choices=("system", "user"),
        default="system",
        help="who says a prompt that is one text (default: system)",
    )
