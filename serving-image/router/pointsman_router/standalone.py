"""Runs the router from a configuration file: the same document the operator compiles, as YAML or JSON."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path

import yaml

from pointsman_router.state import State

logger = logging.getLogger("pointsman_router.standalone")


class FileSource:
    """Feeds a file to the state: once, and again on SIGHUP."""

    def __init__(self, path: Path, state: State) -> None:
        self._path = path
        self._state = state

    def load(self) -> bool:
        """Reads the file; where that fails the state keeps its last good one and says why."""
        try:
            document = yaml.safe_load(self._path.read_bytes())
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            self._state.refuse_config(f"{self._path}: {error}")
        else:
            self._state.apply_config(document)
        if self._state.error:
            logger.error("configuration refused: %s", self._state.error)
            return False
        self._state.replace_slices({})
        logger.info("running configuration %s", self._state.table.hash)
        return True

    def follow(self) -> None:
        """Reads it again on each SIGHUP from here on (unhandled, that would end the process)."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.load)
