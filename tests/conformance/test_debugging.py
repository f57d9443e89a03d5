"""What a person can find out about a running operator, against a real API server."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from pathlib import Path

import pytest

from e2e.cluster import ControlPlane
from pointsman.api.names import LLMSERVICE
from tests.conformance.conftest import install_kinds
from tests.conformance.stage import NAMESPACE, obj
from tests.conformance.test_operator import SPEC, Process, client, free_port, start, until

pytestmark = pytest.mark.apiserver


async def debug(*arguments: str, **variables: str) -> tuple[int, str]:
    """`pointsman debug` with the variables that the operator's pod has."""
    images = {f"POINTSMAN_{name}_IMAGE": "pointsman.local/router:test" for name in ("ROUTER", "RESOLVE")}
    images["POINTSMAN_RESOLVE_IMAGE"] = "pointsman.local/operator:test"
    images["POINTSMAN_ENGINE_IMAGES"] = '{"cpu": "pointsman.local/engine-cpu:{version}"}'
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pointsman.app", "debug", *arguments),
        env={**os.environ, **images, **variables},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def decisions(process: Process, about: str) -> list[str]:
    """Hashes of what was decided about an object, by the log."""
    passes = [line for line in process.lines() if line["message"] == "pass" and line["object"] == about]
    return [line["decision"] for line in passes if "decision" in line]


async def test_a_person_sees_the_queue_the_decision_and_what_every_task_does(
    apiserver: ControlPlane, tmp_path: Path
) -> None:
    port, ns = str(free_port()), f"debugged-{secrets.token_hex(4)}"
    async with client(apiserver) as kube:
        await install_kinds(kube)
        await kube.create(obj(NAMESPACE, None, ns))
        process = start(apiserver, tmp_path, POINTSMAN_DEBUG_PORT=port, POINTSMAN_WATCH_NAMESPACES=ns)
        try:
            await kube.create(obj(LLMSERVICE, ns, "chat", spec=SPEC))
            about = f"LLMService/{ns}/chat"

            async def rests() -> bool:
                told = decisions(process, about)
                return len(told) > 3 and told[-1] == told[-2]

            await until(rests, 40)
            code, text = await debug("queue", POINTSMAN_DEBUG_PORT=port)
            assert code == 0
            assert {"depth", "running", "oldestSeconds", "keys"} == set(json.loads(text))
            code, text = await debug("world", "chat", "-n", ns, "--kubeconfig", str(apiserver.kubeconfig))
            assert code == 0
            assert json.loads(text)["decisionHash"] in decisions(process, about)
            process.popen.send_signal(signal.SIGUSR2)

            async def dumped() -> bool:
                return "Stack for <Task" in process.log.read_text()

            await until(dumped, 10)
            assert process.end(signal.SIGTERM, 20) == 0
        finally:
            process.popen.kill()
            process.popen.wait()
