"""What scenarios begin with: specs, the states of containers that fail, and clusters at rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.simulation.faults import acts
from tests.simulation.faults.acts import REST, Act, fails, serve, stand_in
from tests.simulation.stories import CHAT, edited

NEW = edited(engine={"maxModelLen": 1024})
NEWER = edited(engine={"maxModelLen": 2048})
GPU = edited(hardware={"accelerator": {"resource": "nvidia.com/gpu", "count": 1}})
HUGE = edited(
    hardware={"accelerator": {"resource": "nvidia.com/gpu", "count": 1}, "deviceMemory": "80Gi"},
    model={**CHAT["model"], "facts": {"parameters": 10**12}},
)
HUGE_CHANGE = {
    **HUGE,
    "engine": {"maxModelLen": 1024},
    "rollout": {"strategy": "Recreate"},
}
"""What only facts change is no new revision; this is one."""
RECREATE = {**GPU, "rollout": {"strategy": "Recreate"}}
SMALL = CHAT["model"]
OTHER = {"source": {"uri": "file:///models/other"}}
REMOTE = {"model": {"source": {"uri": "hf://org/name", "revision": "main"}}}
BAD = edited(engine={"args": {"max-num-seqs": "many"}})
FOUND = {"commit": "c0ffee", "bytes": 2 * 1024**3}
TLS = {"replicas": 1, "tls": {}}
ANALYSIS = {"intervalSeconds": 10}
GATES = [{"metric": "errorRate", "maxDifferencePermille": 10}]
CANARY = edited(
    replicas=4,
    rollout={
        "strategy": "Canary",
        "steps": [{"weight": 10, "minSeconds": 0}, {"weight": 50, "minSeconds": 0}],
        "analysis": ANALYSIS,
        "gates": GATES,
    },
)
SWITCH = edited(
    rollout={"strategy": "BlueGreen", "bakeSeconds": 0, "analysis": ANALYSIS, "gates": GATES},
)
PROMPTED = edited(
    promptRef={"name": "support-v1"},
    rollout={**CANARY["rollout"], "steps": [{"weight": 50, "minSeconds": 0}]},
)

FOREIGN = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "chat-engine", "labels": {"whose": "theirs"}},
    "spec": {"selector": {}},
}
PORTS = [{"name": "http", "port": 81, "targetPort": "http", "protocol": "TCP"}]


def crashing(reason: str, message: str) -> dict[str, Any]:
    """The state of an engine's container that ends with these words, again and again."""
    return {
        "name": "engine",
        "ready": False,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {
            "terminated": {"exitCode": 1, "message": f'{{"reason": "{reason}", "message": "{message}"}}'}
        },
    }


def saying(text: str) -> dict[str, Any]:
    """A prompt that begins with this."""
    return {"messages": [{"role": "system", "content": text}]}


CRASHING = crashing("ArgumentsInvalid", "max-num-seqs: must be a number")
WRONG = crashing("WrongAnswers", "proof 'capital': expected Paris, got Rome")

GIVEN: Mapping[str, tuple[Act, ...]] = {
    "an empty namespace": (),
    "a service that serves": (serve(CHAT), REST),
    "a service on the only accelerator": (
        stand_in("there is one accelerator", accelerators=1),
        serve(GPU),
        REST,
    ),
    "a service that gives way (Recreate)": (
        stand_in("there is one accelerator", accelerators=1),
        serve(RECREATE),
        REST,
    ),
    "a service of a shared model": (
        acts.apply("LLMModel", "small", SMALL),
        serve({"modelRef": {"name": "small"}}),
        REST,
    ),
    "a service scaled to zero": (serve(edited(replicas=0)), REST),
    "a paused service": (serve(CHAT), REST, serve({**CHAT, "paused": True}), REST),
    "two services on one router": (serve(CHAT), REST, serve(CHAT, "second"), REST),
    "a service behind a declared router": (
        acts.apply("LLMRouter", "front", {"replicas": 1}),
        serve(edited(routerRef={"name": "front"})),
        REST,
    ),
    "a service of a remote model": (serve(REMOTE), REST),
    "a service with a revision that crashes": (
        serve(CHAT),
        REST,
        fails(BAD, CRASHING),
        serve(BAD),
        REST,
    ),
    "a service with canaries": (serve(CANARY), REST),
    "a service with switches": (serve(SWITCH), REST),
    "a service with a prompt": (
        acts.apply("PromptVersion", "support-v1", saying("Help")),
        acts.apply("PromptVersion", "support-v2", saying("Be brief")),
        serve(PROMPTED),
        REST,
    ),
}
