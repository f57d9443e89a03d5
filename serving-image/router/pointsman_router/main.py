"""Composition root: the command line, the two ports, the source of configuration, and the graceful stop."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import uvloop

from pointsman_router import cluster, log, version
from pointsman_router.accesslog import AccessLog
from pointsman_router.admin import Admin
from pointsman_router.router import Router
from pointsman_router.signals import Poller
from pointsman_router.standalone import FileSource

_BACKLOG = 4096
_DRAIN_ROUND_SECONDS = 0.05
_GC_THRESHOLDS = (50_000, 20, 50)
"""Requests make next to no cycles; collecting often only costs."""

logger = logging.getLogger("pointsman_router")

Source = Callable[[Router], tuple[Sequence[Coroutine[Any, Any, None]], Callable[[], Mapping[str, float]]]]
"""Given a router, what has to run to feed it, and when each of its resources was last heard of."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a process listens and stops; times in seconds."""

    host: str
    port: int
    admin_port: int
    drain_seconds: float
    """From SIGTERM on, how long requests in flight have to finish."""
    accept_seconds: float
    """How much of that time new connections are still taken, since endpoints lag behind readiness."""
    access_log: bool


def main() -> None:
    """The `pointsman-router` command."""
    arguments = _parser().parse_args()
    log.configure(arguments.log_level)
    options = Options(
        host=arguments.host,
        port=arguments.port,
        admin_port=arguments.admin_port,
        drain_seconds=arguments.drain_seconds,
        accept_seconds=min(arguments.accept_seconds, arguments.drain_seconds),
        access_log=arguments.access_log == "stdout",
    )
    _raise_file_limit()
    source: Source = arguments.source(arguments)
    sys.exit(uvloop.run(serve(options, source)))


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--host", default="", help="address to listen on; default: all, IPv4 and IPv6")
    common.add_argument("--port", type=int, default=8080, help="public port")
    common.add_argument("--admin-port", type=int, default=8081, help="health, metrics, signals and probes")
    common.add_argument("--drain-seconds", type=float, default=30.0, help="time to finish after SIGTERM")
    common.add_argument("--accept-seconds", type=float, default=5.0, help="of these, taking new connections")
    common.add_argument("--access-log", choices=("stdout", "off"), default="stdout")
    common.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parser = argparse.ArgumentParser("pointsman-router", description="Routes OpenAI API requests to engines.")
    parser.add_argument("--version", action="version", version=version.current())
    commands = parser.add_subparsers(required=True, metavar="cluster|file")
    in_cluster = commands.add_parser("cluster", parents=[common], help="follow the API server")
    in_cluster.add_argument("--config-map", required=True)
    in_cluster.add_argument("--namespace", default="", help="default: the pod's own")
    in_cluster.add_argument("--api-server", default="", help="URL, instead of the pod's own API server")
    in_cluster.add_argument("--ca-file", default="", help="with --api-server: its certificate authority")
    in_cluster.add_argument("--token-file", default="", help="with --api-server: a bearer token")
    in_cluster.set_defaults(source=_cluster_source)
    alone = commands.add_parser("file", parents=[common], help="run alone from a file (YAML or JSON)")
    alone.add_argument("--config", required=True, type=Path)
    alone.set_defaults(source=_file_source)
    return parser


def _cluster_source(arguments: argparse.Namespace) -> Source:
    try:
        namespace = arguments.namespace or cluster.own_namespace()
        if arguments.api_server:
            api = cluster.Api.at(arguments.api_server, arguments.ca_file, arguments.token_file)
        else:
            api = cluster.Api.from_pod()
    except (KeyError, OSError, ValueError) as error:
        sys.exit(f"pointsman-router: not in a pod, and no other API server was named: {error!r}")

    def source(
        router: Router,
    ) -> tuple[Sequence[Coroutine[Any, Any, None]], Callable[[], Mapping[str, float]]]:
        followed = cluster.followers(api, namespace, arguments.config_map, router.state)
        return (
            [follower.run() for follower in followed.values()],
            lambda: {name: follower.last_heard for name, follower in followed.items()},
        )

    return source


def _file_source(arguments: argparse.Namespace) -> Source:
    def source(
        router: Router,
    ) -> tuple[Sequence[Coroutine[Any, Any, None]], Callable[[], Mapping[str, float]]]:
        file = FileSource(arguments.config, router.state)
        if not file.load():
            sys.exit(f"pointsman-router: {router.state.error}")
        file.follow()
        return [], dict

    return source


async def serve(options: Options, source: Source) -> int:
    """Runs until SIGTERM or SIGINT, drains, and gives the exit status."""
    router = Router(AccessLog(sys.stdout.fileno() if options.access_log else None))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    feeding, watches = source(router)
    admin = Admin(router, watches)
    with (
        closing(_listen(options.host, options.port)) as public,
        closing(_listen(options.host, options.admin_port)) as private,
    ):
        server = await loop.create_server(router.accept, sock=public, backlog=_BACKLOG)
        admin_server = await loop.create_server(admin.accept, sock=private, backlog=_BACKLOG)
        router.start()
        tasks = [asyncio.ensure_future(work) for work in (*feeding, Poller(router).run())]
        for task in tasks:
            task.add_done_callback(lambda _: stop.set())
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        logger.info("listening on port %d, admin port %d", _port(public), _port(private))
        await stop.wait()
        status = _report(tasks)
        await _drain(router, server, options)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        admin_server.close()
    router.log.close()
    return status


def _report(tasks: Sequence[asyncio.Future[None]]) -> int:
    """A task that ended by itself is a fault: then the process doesn't exit with 0."""
    broken = [task for task in tasks if task.done()]
    for task in broken:
        logger.error("a part of the router ended", exc_info=task.exception())
    return 1 if broken else 0


async def _drain(router: Router, server: asyncio.Server, options: Options) -> None:
    """Readiness goes first, then new connections, then what is in flight or the time is up."""
    began = monotonic()
    router.draining = True
    logger.info("draining: %d requests in flight", router.in_flight)
    await asyncio.sleep(options.accept_seconds)
    server.close()
    while monotonic() - began < options.drain_seconds:
        for connection in tuple(router.connections):
            connection.drain()
        if not router.connections:
            break
        await asyncio.sleep(_DRAIN_ROUND_SECONDS)
    cut = router.in_flight
    router.stop()
    await asyncio.sleep(0)
    logger.info("stopped after %.1f s; %d requests were cut", monotonic() - began, cut)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; without a host for both IP versions, where the machine has both."""
    try:
        return _bind(host, port)
    except OSError as error:
        sys.exit(f"pointsman-router: can't listen on port {port}: {error}")


def _bind(host: str, port: int) -> socket.socket:
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True
            )
        except OSError as error:
            logger.info("listening on IPv4 only: %s", error)
    return socket.create_server(("", port), backlog=_BACKLOG)


def _port(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def _raise_file_limit() -> None:
    """Each stream takes two file descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
