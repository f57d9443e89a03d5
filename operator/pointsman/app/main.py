"""The command `pointsman-operator`, which is `pointsman` too, and a plugin of kubectl: not all operate."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pointsman import __version__
from pointsman.app import command_arguments, debug_arguments, memory, prompt_arguments
from pointsman.app import settings as settings_module
from pointsman.app.settings import AppSettings, SettingsError
from pointsman.engine import log

PROGRAMS: Final = {"pointsman": "pointsman", "kubectl-pointsman": "kubectl pointsman"}
"""Names this command is called by, and what people type for them."""
COMMANDS: Final = {
    "debug": "pointsman.app.debug",
    "plan": "pointsman.app.plan_command",
    "rollout": "pointsman.app.rollout_command",
}
"""Commands that look and operate nothing, and the module that runs each."""
logger = logging.getLogger("pointsman")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 after a stop, 1 otherwise, 2 for wrong settings."""
    program = PROGRAMS.get(Path(sys.argv[0]).name, "pointsman-operator")
    parser = argparse.ArgumentParser(prog=program, description="Pointsman's control plane.")
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the operator; settings come from POINTSMAN_* variables")
    commands.add_parser("settings", help="list all variables with their meaning and default")
    rollout = commands.add_parser("rollout", help="draw how far a rollout is, what it measures and awaits")
    command_arguments.add_rollout_to(rollout)
    plan = commands.add_parser("plan", help="say what an apply would do: pods, accelerators, fit, steps")
    command_arguments.add_plan_to(plan)
    debug_arguments.add_to(commands.add_parser("debug", help="look into decisions and the queue; only reads"))
    prompt_arguments.add_to(commands.add_parser("prompt", help="take prompts over from other tools"))
    arguments = parser.parse_args(argv)
    if arguments.command == "settings":
        print(settings_module.described())
        return 0
    if arguments.command in COMMANDS:
        return _ask(COMMANDS[arguments.command], arguments)
    if arguments.command == "prompt":
        from pointsman.app import prompt_import

        return prompt_import.run(arguments)
    try:
        settings = settings_module.read(os.environ)
    except SettingsError as error:
        print(f"pointsman-operator: wrong settings:\n{error}", file=sys.stderr)
        return 2
    return run(settings)


def run(settings: AppSettings) -> int:
    """Runs the operator until it's told to stop."""
    # Late, since the client library takes seconds to import and --version needs none of it.
    from pointsman.app.operator import NotServed, Operator
    from pointsman.kube.config import NoCluster

    faulthandler.enable()
    memory.be_frugal()
    log.configure(settings.log_level)

    async def operate() -> None:
        await Operator(settings).run()

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(operate())
    except (NotServed, NoCluster) as error:
        logger.error("can't start", extra={"error": str(error)})
        return 1
    except OSError as error:
        logger.error("can't go on", extra={"error": str(error)})
        return 1
    except KeyboardInterrupt:
        return 0
    except Exception:
        logger.exception("ended by an error")
        return 1
    return 0


def _ask(module: str, arguments: argparse.Namespace) -> int:
    """Runs a command that only looks."""
    # Late, for the same reason.
    command = importlib.import_module(module)
    try:
        return int(asyncio.run(command.run(arguments)))
    except KeyboardInterrupt:
        return 130


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it's installed: a fifth less CPU for each request."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    sys.exit(main())
