"""The command line: what a router is started with, and how it is told that this can't work."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from pointsman_router.running import log, process
from pointsman_router.running.listening import Address
from pointsman_router.running.process import Feed, Process, StartError
from pointsman_router.running.watching import Watch

if TYPE_CHECKING:
    from pointsman_router.feeds.standalone import FileConfig
    from pointsman_router.router import Router

_USAGE: Final = 2
"""Exit status where what was asked for can't be: arguments, or a file that is wrong."""
_MAX_PROCESSES: Final = 64


def main() -> None:
    """The `pointsman-router` command."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.command is not None:
        sys.exit(arguments.run(arguments))
    if arguments.config is None:
        parser.error("give --config FILE, or a command")
    sys.exit(_alone(arguments.config, arguments.processes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pointsman-router", description="Routes OpenAI API requests to engines: alone, by what a file says."
    )
    parser.add_argument("--version", action=_Version)
    parser.add_argument("--config", type=Path, metavar="FILE", help="run alone from this file (YAML or JSON)")
    parser.add_argument(
        "--processes", type=_count, default=1, metavar="N", help="so many on one port; with --config"
    )
    commands = parser.add_subparsers(dest="command", metavar="cluster|key")
    in_cluster = commands.add_parser("cluster", help="follow the API server")
    in_cluster.add_argument("--host", default="", help="address to listen on; default: all, IPv4 and IPv6")
    in_cluster.add_argument("--port", type=int, default=8080, help="public port")
    in_cluster.add_argument(
        "--admin-port", type=int, default=8081, help="health, metrics, signals and probes"
    )
    in_cluster.add_argument("--drain-seconds", type=float, default=30.0, help="time to finish after SIGTERM")
    in_cluster.add_argument("--accept-seconds", type=float, default=5.0, help="of these, taking connections")
    in_cluster.add_argument("--access-log", choices=("stdout", "off"), default="stdout")
    in_cluster.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    in_cluster.add_argument("--config-map", required=True)
    in_cluster.add_argument("--namespace", default="", help="default: the pod's own")
    in_cluster.add_argument("--api-server", default="", help="URL, instead of the pod's own API server")
    in_cluster.add_argument("--ca-file", default="", help="with --api-server: its certificate authority")
    in_cluster.add_argument("--token-file", default="", help="with --api-server: a bearer token")
    in_cluster.set_defaults(run=_in_cluster)
    key = commands.add_parser("key", help="make an API key, and the line for the file that lets it in")
    key.add_argument("name", help="whose it is, for metrics and logs")
    key.add_argument("--model", action="append", default=[], help="a model it may use; default: all")
    key.set_defaults(run=_make_key)
    return parser


class _Version(argparse.Action):
    """Prints the version, which is only looked up when it's asked for."""

    def __init__(self, option_strings: list[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from pointsman_router import version

        print(version.current())
        parser.exit()


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_PROCESSES:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MAX_PROCESSES}")
    return int(text)


def _alone(path: Path, count: int) -> int:
    """Runs from a file."""
    from pointsman_router.config import ConfigError
    from pointsman_router.feeds.standalone import check_certificate, read

    # Until they have handlers, signals wait: an early SIGHUP mustn't end what is still starting.
    signal.pthread_sigmask(signal.SIG_BLOCK, process.SIGNALS)
    watch = Watch((str(path),))  # before it's read: what changes from here on is seen
    try:
        config = read(path)
        check_certificate(config)
        if count > 1 and not config.listen.port:
            raise ConfigError("listen.port: several processes need one port; it must be 1 to 65535")
    except ConfigError as error:
        return _fail(str(error), _USAGE)
    log.configure(config.log_level)
    if count == 1:
        return _run(_from_file(path, watch, config))
    from pointsman_router.running import workers

    config = replace(config, listen=replace(config.listen, reuse_port=True))
    return workers.run(count, lambda index, lifeline: _run(_from_file(path, watch, config, index, lifeline)))


def _from_file(path: Path, watch: Watch, config: FileConfig, index: int = 0, lifeline: int = -1) -> Process:
    def source(running: Process, router: Router) -> Feed:
        from pointsman_router.feeds.standalone import FileSource

        def adopt(new: FileConfig) -> None:
            running.drain_seconds, running.accept_seconds = new.drain_seconds, new.accept_seconds
            running.log_requests(new.access_log)
            logging.getLogger().setLevel(new.log_level.upper())

        return Feed([FileSource(path, watch, config, router.state, adopt).follow()])

    admin_port = config.admin.port + index if config.admin.port else 0
    return Process(
        public=config.address,
        admin=Address(config.admin.host, admin_port),
        source=source,
        drain_seconds=config.drain_seconds,
        accept_seconds=config.accept_seconds,
        access_log=config.access_log,
        lifeline=lifeline,
    )


def _in_cluster(arguments: argparse.Namespace) -> int:
    """Runs in a pod."""
    from pointsman_router.feeds import cluster

    log.configure(arguments.log_level)
    try:
        namespace = arguments.namespace or cluster.own_namespace()
        if arguments.api_server:
            api = cluster.Api.at(arguments.api_server, arguments.ca_file, arguments.token_file)
        else:
            api = cluster.Api.from_pod()
    except (KeyError, OSError, ValueError) as error:
        return _fail(f"not in a pod, and no other API server was named: {error!r}", 1)

    def source(_: Process, router: Router) -> Feed:
        followed = cluster.followers(api, namespace, arguments.config_map, router.state)
        return Feed(
            [follower.run() for follower in followed.values()],
            lambda: {name: follower.last_heard for name, follower in followed.items()},
        )

    return _run(
        Process(
            public=Address(arguments.host, arguments.port),
            admin=Address(arguments.host, arguments.admin_port),
            source=source,
            drain_seconds=arguments.drain_seconds,
            accept_seconds=arguments.accept_seconds,
            access_log=arguments.access_log == "stdout",
        )
    )


def _run(running: Process) -> int:
    process.raise_file_limit()
    try:
        return uvloop.run(running.run())
    except StartError as error:
        return _fail(str(error), 1)


def _make_key(arguments: argparse.Namespace) -> int:
    """The key goes to standard error, so that `>> router.yaml` takes only what the file may hold."""
    import json

    from pointsman_router.clients import keys

    secret = keys.fresh()
    print(f"{arguments.name}'s key, which is kept nowhere: {secret}", file=sys.stderr)
    print(f"  - name: {json.dumps(arguments.name)}\n    sha256: {keys.digest(secret)}")
    if arguments.model:
        print(f"    models: {json.dumps(arguments.model)}")
    return 0


def _fail(message: str, status: int) -> int:
    print(f"pointsman-router: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
