"""Runs the router from one file: what the operator would compile, and what a process needs beside it.

The file is YAML (or JSON), read as strictly as the contract: what isn't known, or stands there twice, is
refused. It is read again on SIGHUP and when it changes; a file that can't be run changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from pointsman_router import config as contract
from pointsman_router.config import ConfigError, RouterConfig
from pointsman_router.running.listening import Address
from pointsman_router.running.watching import PERIOD_SECONDS, Watch
from pointsman_router.settings import DAY
from pointsman_router.state import State

logger = logging.getLogger("pointsman_router.standalone")


class LogLevel(StrEnum):
    """From which weight on the process tells of itself."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _bounded(default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "beyond": ""})


@dataclass(frozen=True, slots=True)
class Listen:
    """Where clients come in."""

    host: str = ""
    """Address to listen on; empty: all, IPv4 and IPv6."""
    port: int = _bounded(8080, 0, 65535)
    """0: one the kernel chooses; the log says which."""
    reuse_port: bool = False
    """Whether other processes may listen on the same port; the kernel spreads connections over them."""


@dataclass(frozen=True, slots=True)
class Admin:
    """Where health, metrics, signals and probes are asked. Nobody is asked for a key there."""

    host: str = "127.0.0.1"
    """Address to listen on; empty: all, IPv4 and IPv6."""
    port: int = _bounded(8081, 0, 65535)
    """Of the first process; each further one takes the next."""


@dataclass(frozen=True, slots=True)
class FileConfig(RouterConfig):
    """The whole file. Of its own fields, all but `listen` and `admin` change while it runs."""

    listen: Listen = field(default_factory=Listen)
    admin: Admin = field(default_factory=Admin)
    drain_seconds: float = _bounded(30.0, 0, DAY)
    """From SIGTERM on, how long requests in flight have to finish."""
    accept_seconds: float = _bounded(5.0, 0, DAY)
    """How much of that time new connections are still taken, while a balancer learns that it isn't ready."""
    access_log: bool = True
    """Whether each request is told on standard output."""
    log_level: LogLevel = LogLevel.INFO
    """Of what goes to standard error."""

    @property
    def address(self) -> Address:
        """Of the public port."""
        return Address(self.listen.host, self.listen.port, self.listen.reuse_port)


def read(path: Path) -> FileConfig:
    """The file's configuration. Raises ConfigError saying which field is wrong, and what would be right."""
    try:
        document = yaml.load(path.read_bytes(), _Loader)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    config = contract.parse_as(FileConfig, document)
    for s, service in enumerate(config.services):
        for v, variant in enumerate(service.variants):
            if variant.upstream.service:
                raise ConfigError(
                    f"services[{s}].variants[{v}].upstream.service: only in a cluster; give addresses"
                )
    return config


def check_certificate(config: FileConfig) -> None:
    """Raises ConfigError where its files couldn't be served with."""
    if config.tls.cert_file:
        from pointsman_router.running.tls import context_of  # takes a while, and most do without

        context_of(config.tls)


class _Loader(yaml.CSafeLoader):
    """YAML without surprises: a key that stands twice in a mapping is a mistake, not an override."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"{key.value!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class FileSource:
    """Feeds a file to the state: as it was read at the start, and again whenever it changes."""

    def __init__(
        self,
        path: Path,
        watch: Watch,
        config: FileConfig,
        state: State,
        adopt: Callable[[FileConfig], None],
    ) -> None:
        """`watch` knows the file as it was before `config` was read from it. `adopt` is told of each
        configuration that is taken, for what isn't the state's."""
        self._path = path
        self._started_with = config
        self._state = state
        self._adopt = adopt
        self._watch = watch
        self._asked = asyncio.Event()
        self._take(config)
        state.replace_slices({})

    async def follow(self) -> None:
        """Reads the file when it changes, and on each SIGHUP (unhandled, that would end the process)."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._asked.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
        while True:
            try:
                async with asyncio.timeout(PERIOD_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                if not self._watch.changed():
                    continue
            self._asked.clear()
            await self._reload()

    async def _reload(self) -> None:
        try:
            # Aside, since a large file takes longer to read than streams should pause.
            config = await asyncio.to_thread(read, self._path)
            if config.tls != self._state.table.tls:
                # Files that are served with already may be bad now: they mustn't hold up everything else.
                check_certificate(config)
        except ConfigError as error:
            self._state.refuse_config(str(error))
            logger.error("configuration refused, the last one stays: %s", error)
            return
        except Exception as error:
            # What nobody foresaw in a file mustn't end a router that serves.
            self._state.refuse_config(f"{self._path}: {error!r}")
            logger.exception("configuration refused, the last one stays")
            return
        self._take(config)
        for field_name in ("listen", "admin"):
            new, running = getattr(config, field_name), getattr(self._started_with, field_name)
            if new != running:
                logger.warning("%s: changes only with a restart; it is still %s", field_name, _words(running))

    def _take(self, config: FileConfig) -> None:
        values = {spec.name: getattr(config, spec.name) for spec in fields(RouterConfig)}
        self._state.run(RouterConfig(**values))
        self._adopt(config)
        logger.info("running configuration %s", self._state.table.hash)


def _words(address: Listen | Admin) -> str:
    shared = " (shared)" if isinstance(address, Listen) and address.reuse_port else ""
    return f"{address.host or 'all addresses'}, port {address.port}{shared}"
