"""A plan against a real API server: its defaults and rules count, and nothing is written."""

from __future__ import annotations

import io
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest

from e2e.cluster import ControlPlane
from pointsman.api.names import API_VERSION, LLMSERVICE
from pointsman.app import plan_command
from pointsman.app.screen import Screen
from pointsman.kube.client import AioKube
from pointsman.kube.protocol import Invalid
from pointsman.signals.client import HttpSignals
from tests.conformance.conftest import install_kinds
from tests.conformance.stage import NAMESPACE, obj
from tests.conformance.test_operator import SPEC, client
from tests.simulation.cluster import SETTINGS

pytestmark = pytest.mark.apiserver


async def planned(kube: AioKube, ns: str, spec: dict[str, Any]) -> str:
    out, signals = io.StringIO(), HttpSignals()
    manifest = {"apiVersion": API_VERSION, "kind": "LLMService", "metadata": {"name": "chat"}, "spec": spec}
    shown = Screen(out, colour=False, redraws=False)
    try:
        await plan_command.plan(
            kube, signals, SETTINGS, [manifest], ns, shown, lambda: datetime(2026, 1, 1, tzinfo=UTC)
        )
    finally:
        await signals.close()
    return out.getvalue()


async def test_a_plan_goes_by_what_the_server_would_store(apiserver: ControlPlane) -> None:
    ns = f"planned-{secrets.token_hex(4)}"
    async with client(apiserver) as kube:
        await install_kinds(kube)
        await kube.create(obj(NAMESPACE, None, ns))
        assert "chat  " in await planned(kube, ns, SPEC)
        assert await kube.list(LLMSERVICE, ns) == []
        made = await kube.create(obj(LLMSERVICE, ns, "chat", spec={**SPEC, "replicas": 3}))
        try:
            text = await planned(kube, ns, {**SPEC, "drainSeconds": 7})
            assert "drainSeconds  unset  →  7  changes the revision" in text
            assert "replicas stay 3" in text
            with pytest.raises(Invalid, match=r"spec\.drainSeconds"):
                await planned(kube, ns, {**SPEC, "drainSeconds": -1})
            with pytest.raises(Invalid, match="exactly one of"):
                await planned(kube, ns, {**SPEC, "modelRef": {"name": "other"}})
            with pytest.raises(Invalid, match="unknown field"):
                await planned(kube, ns, {**SPEC, "drainSecond": 7})
            there = await kube.get(LLMSERVICE, ns, "chat")
            assert there["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        finally:
            await kube.delete(LLMSERVICE, ns, "chat", uid=made["metadata"]["uid"])
