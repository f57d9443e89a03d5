"""`pointsman debug`: record what a pass would see and decide, decide again elsewhere, look at the queue.

It reads and never writes to the cluster. It runs in the operator's pod, where it has all that a pass has, and
anywhere with a kubeconfig, where routers' admin ports can't be reached: the file says so then.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from pointsman import __version__
from pointsman.api import names
from pointsman.app import debug_arguments, debug_difference, debug_record
from pointsman.app import settings as settings_module
from pointsman.app.settings import AppSettings, SettingsError
from pointsman.engine import looking
from pointsman.engine.clock import utc_now
from pointsman.engine.gather import Gatherer
from pointsman.engine.parsing import Unreadable
from pointsman.kube import config
from pointsman.kube.client import AioKube
from pointsman.kube.protocol import Kube, KubeError
from pointsman.signals.client import HttpSignals
from pointsman.signals.protocol import Signals

OPERATOR_LABELS: Final = f"{names.LABEL_NAME}=pointsman,{names.LABEL_COMPONENT}=operator"


class Failed(Exception):
    """The command can't do what it was asked for; the message says why."""


async def run(arguments: argparse.Namespace) -> int:
    """Runs one of the commands; returns its exit status: 0, 1 where decisions differ, 2 where it failed."""
    try:
        if arguments.debug == "replay":
            return replay(_read(arguments.file))
        if arguments.debug == "queue":
            print(queue(_settings_here().debug_port), end="")
            return 0
        _write(arguments.output, await _recorded(arguments))
    except (Failed, debug_record.Unusable) as error:
        print(f"pointsman debug {arguments.debug}: {error}", file=sys.stderr)
        return 2
    return 0


def replay(text: str) -> int:
    """Decides again about a file's World and prints what differs; 0 where nothing does, else 1."""
    record = debug_record.parsed(text)
    for note in record.notes:
        print(f"note: {note}")
    versions = f"recorded by version {record.version}, replayed by version {__version__}"
    differences = list(debug_difference.between(record.decision, debug_record.decide(record.world)))
    if not differences:
        print(f"same decision ({versions})")
        return 0
    print(f"another decision ({versions}), where:")
    print("\n".join(f"  {line}" for line in differences))
    return 1


def queue(port: int) -> str:
    """What /debug/queue answers on loopback. Raises Failed."""
    try:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/debug/queue")
            return connection.getresponse().read().decode()
    except OSError as error:
        raise Failed(f"nothing answers on 127.0.0.1:{port}: {error}; run it in the operator's pod") from None


async def record(kube: Kube, signals: Signals, settings: AppSettings, key: names.Key) -> dict[str, Any]:
    """The file about one object. Raises Failed, and the kube errors."""
    gatherer = Gatherer(kube, signals, settings.for_decisions())
    try:
        seen: Any = await looking.whole(gatherer, key, utc_now())
    except Unreadable as unreadable:
        raise Failed(f"{unreadable.raw['kind']} can't be read: {unreadable.message}") from None
    # The router that is made on demand is decided about before it exists.
    if seen is None or (seen.raw is None and key.name != names.DEFAULT_ROUTER):
        raise Failed(f"there is no {key.kind} {key.name!r} in namespace {key.namespace!r}")
    told = (*getattr(seen.world, "signals", ()), *getattr(seen.world, "unready", ()))
    silent = [one.address for one in told if not one.reachable]
    notes = [
        f"no answer from the admin ports of routers at {', '.join(silent)}: the operator may see them, and "
        "decide otherwise; run this in its pod: kubectl exec deploy/pointsman -- pointsman debug world …"
    ]
    file = debug_record.recorded(seen.world, seen.decision, notes if silent else ())
    # Of the decision as a pass has it, before sealing: a pass's line in the log has the same.
    return {**file, "decisionHash": looking.fingerprint(seen.decision)}


async def _recorded(arguments: argparse.Namespace) -> str:
    key = names.Key(debug_arguments.KINDS[arguments.kind], arguments.namespace, arguments.name)
    try:
        configuration = await config.load(kubeconfig_of(arguments.kubeconfig), arguments.context)
        async with contextlib.AsyncExitStack() as stack:
            kube = AioKube(configuration)
            stack.push_async_callback(kube.close)
            signals = HttpSignals()
            stack.push_async_callback(signals.close)
            settings = await settings_of(kube, arguments.operator_namespace)
            file = await record(kube, signals, settings, key)
    except (config.NoCluster, KubeError) as error:
        raise Failed(str(error)) from None
    return json.dumps(file, indent=1, ensure_ascii=False) + "\n"


def kubeconfig_of(named: str) -> str:
    """Unlike the operator, which acts, this only reads: it looks where kubectl looks."""
    if named or "KUBERNETES_SERVICE_HOST" in os.environ:
        return named
    return os.environ.get("POINTSMAN_KUBECONFIG") or os.environ.get("KUBECONFIG") or "~/.kube/config"


async def settings_of(kube: Kube, namespace: str) -> AppSettings:
    """The operator's settings: this process's own in its pod, else those of its Deployment."""
    if os.environ.get("POINTSMAN_ROUTER_IMAGE"):
        return _settings_here()
    found = await kube.list(names.DEPLOYMENT, namespace, labels=OPERATOR_LABELS)
    if len(found) != 1:
        raise Failed(
            f"{len(found)} Deployments in namespace {namespace!r} are the operator's, whose settings are "
            "needed; name its namespace by --operator-namespace"
        )
    container = found[0]["spec"]["template"]["spec"]["containers"][0]
    environ = {entry["name"]: entry.get("value", "") for entry in container.get("env") or ()}
    try:
        return settings_module.read({**environ, "POINTSMAN_NAMESPACE": namespace})
    except SettingsError as error:
        raise Failed(f"settings of the operator's Deployment can't be read: {error}") from None


def _settings_here() -> AppSettings:
    try:
        return settings_module.read(os.environ)
    except SettingsError as error:
        raise Failed(f"wrong settings: {error}; run it in the operator's pod") from None


def _read(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise Failed(f"{path} can't be read: {error}") from None


def _write(path: str | None, text: str) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failed(f"{path} can't be written: {error}") from None
