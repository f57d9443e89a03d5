"""`pointsman plan -f FILE`: what an apply would do, from the live cluster, without doing it.

Needs the rights that the apply would need, since the API server itself is asked by a dry run.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from pointsman.api import names
from pointsman.app import plan_look
from pointsman.app.debug import Failed, kubeconfig_of, settings_of
from pointsman.app.drawing import Piece, Tone, clean, line
from pointsman.app.plan_look import OURS
from pointsman.app.plan_view import used, view, wanting
from pointsman.app.screen import Screen, screen
from pointsman.core.settings import Settings
from pointsman.engine.clock import utc_now
from pointsman.engine.parsing import Unreadable
from pointsman.kube import config
from pointsman.kube.client import AioKube
from pointsman.kube.protocol import Invalid, KubeError, Previewing
from pointsman.signals.client import HttpSignals
from pointsman.signals.protocol import Signals

PLANNED, WANTING, FAILED = 0, 1, 2
"""Exit statuses: it would get there; it wouldn't, or the server refuses it; no plan can be made."""
Manifest = Mapping[str, Any]


async def run(arguments: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    try:
        manifests = read(_text(arguments.filename))
        path = kubeconfig_of(arguments.kubeconfig)
        configuration = await config.load(path, arguments.context)
        namespace = arguments.namespace or config.namespace(path, arguments.context)
        async with contextlib.AsyncExitStack() as stack:
            kube, signals = AioKube(configuration), HttpSignals()
            stack.push_async_callback(kube.close)
            stack.push_async_callback(signals.close)
            settings = await settings_of(kube, arguments.operator_namespace)
            shown = screen(arguments.color, redraws=False)
            return await plan(kube, signals, settings.for_decisions(), manifests, namespace, shown)
    except Invalid as error:
        print(f"pointsman plan: the API server refuses it: {error}", file=sys.stderr)
        return WANTING
    except (Failed, Unreadable, config.NoCluster, KubeError) as error:
        print(f"pointsman plan: {error}", file=sys.stderr)
        return FAILED


async def plan(
    kube: Previewing,
    signals: Signals,
    settings: Settings,
    manifests: Sequence[Manifest],
    namespace: str,
    shown: Screen,
    now: Callable[[], datetime] = utc_now,
) -> int:
    """Prints the plan of every service concerned. Raises Failed, Unreadable and the kube errors."""
    previewed = [await plan_look.preview(kube, one, namespace) for one in manifests if one["kind"] in OURS]
    using = await plan_look.users(kube, previewed)
    keys = plan_look.concerned(previewed, using)
    beside = [*_passed_over(manifests), *map(used, using, using.values())]
    if beside:
        shown.show([line(Piece(clean(words), Tone.DIM)) for words in beside])
    if not keys and not using:
        raise Failed("the manifest holds no LLMService, LLMModel, PromptVersion or PromptSuite")
    short = False
    for key in keys:
        found = await plan_look.look(kube, signals, settings, previewed, key, now())
        shown.show(view(found, now()))
        short |= wanting(found.plan)
    return WANTING if short else PLANNED


def _passed_over(manifests: Sequence[Manifest]) -> Iterator[str]:
    """What counts for no plan, or has none of its own."""
    for manifest in manifests:
        called = f"{manifest['kind']} {manifest['metadata'].get('name')!r}"
        if manifest["kind"] not in OURS:
            yield f"{called} isn't looked at"
        elif manifest["kind"] == names.LLMROUTER.kind:
            yield f"{called} counts for its services; what becomes of its own pods isn't planned"


def read(text: str) -> list[Manifest]:
    """The objects of a manifest, lists taken apart. Raises Failed."""
    try:
        documents = [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError as error:
        raise Failed(f"the manifest can't be read: {error}") from None
    found: list[Manifest] = []
    for document in documents:
        items = document.get("items") if isinstance(document, dict) else None
        found += items if isinstance(items, list) else [document]
    for one in found:
        if not _is_object(one):
            raise Failed("the manifest holds something that is no Kubernetes object")
    return found


def _is_object(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("kind"), str)
        and isinstance(one.get("metadata"), dict)
        and (one["kind"] not in OURS or isinstance(one["metadata"].get("name"), str))
        and (one["kind"] not in OURS or str(one.get("apiVersion", "")).startswith(f"{names.GROUP}/"))
    )


def _text(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise Failed(f"{path} can't be read: {error}") from None
