"""The situations that tools have to read alike: data, each with its story and with what it means."""

from __future__ import annotations

import json
from typing import Any, Final

from pointsman.kube.protocol import Forbidden, Retryable
from pointsman.kube.twin import Call
from tests.readings.meaning import Meaning
from tests.readings.stage import Situation, Stage, Story
from tests.simulation import causes_rollout
from tests.simulation.causes_rollout import MANUAL, OFTEN
from tests.simulation.cluster import NAMESPACE
from tests.simulation.measuring import Manner
from tests.simulation.stories import CHAT, edited, rollout, serving
from tests.simulation.trouble import Trouble

GPU: Final = {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}}
RESTARTING: Final[dict[str, Any]] = {
    "started": False,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
}
WITH_CERTIFICATE: Final = {"tls": {"secretRef": {"name": "tls"}}}
LOADING: Final[dict[str, Any]] = {"started": False, "state": {"running": {}}}
UNPULLED: Final = {"image": "x", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}


def ended(reason: str, message: str) -> dict[str, Any]:
    """An engine that ended and left its reason."""
    said = json.dumps({"reason": reason, "message": message})
    return {**RESTARTING, "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": said}}}


def applied(*specs: dict[str, Any], rounds: int = 3) -> Story:
    """Specs applied one after another; each but the last until everything has settled."""

    async def story(stage: Stage) -> None:
        for spec in specs[:-1]:
            await stage.apply("LLMService", "chat", spec)
            await stage.settle()
        await stage.apply("LLMService", "chat", specs[-1])
        await stage.rounds(rounds)

    return story


def candidate(spec: dict[str, Any], *containers: dict[str, Any]) -> Story:
    """A change of a service that serves, whose engines then show these containers."""

    async def story(stage: Stage) -> None:
        await serving(stage)
        await stage.apply("LLMService", "chat", spec)
        await stage.round()
        stage.troubles[rollout(stage)["candidate"]] = Trouble(containers=containers)
        await stage.rounds(20)

    return story


async def interrupted(stage: Stage) -> None:
    """The process ends between the rollout's state and the status that would have told of it."""

    def stop(call: Call) -> None:
        if call.verb == "patch_status":
            stage.kube.after = None
            raise Retryable("the process has ended")

    await stage.apply("LLMService", "chat", CHAT)
    stage.kube.after = stop
    try:
        await stage.round()
    except Retryable:
        return


async def first_start(stage: Stage) -> None:
    await stage.apply("LLMService", "chat", CHAT)
    await stage.round()
    revision = rollout(stage).get("candidate") or rollout(stage)["stable"]
    stage.troubles[revision] = Trouble(containers=(LOADING,))
    await stage.rounds(10)


async def crash_loop(stage: Stage) -> None:
    stable = await serving(stage)
    stage.troubles[stable] = Trouble(containers=(RESTARTING,))
    await stage.rounds(20)


async def heals_itself(stage: Stage) -> None:
    stable = await serving(stage, edited(replicas=2))
    stage.troubles[stable] = Trouble(containers=(RESTARTING,), ready=1)
    await stage.rounds(20)


async def unpulled(stage: Stage) -> None:
    stable = await serving(stage)
    stage.troubles[stable] = Trouble(containers=(UNPULLED,))
    await stage.rounds(20)


async def resolving(stage: Stage) -> None:
    stage.hub = None
    await applied({"model": {"source": {"uri": "hf://org/name"}}}, rounds=10)(stage)


async def secret_missing(stage: Stage) -> None:
    stage.unmounted = 'MountVolume.SetUp failed for volume "hub" : secret "hub-token" not found'
    private = {"source": {"uri": "hf://org/private", "secretRef": {"name": "hub-token"}}}
    await applied({"model": private}, rounds=20)(stage)


async def short_of_accelerators(stage: Stage) -> None:
    stage.accelerators = 1
    spec = edited(hardware=GPU)
    await applied(spec, {**spec, "engine": {"maxModelLen": 1024}}, rounds=20)(stage)


async def recreate_gap(stage: Stage) -> None:
    spec = edited(rollout={"strategy": "Recreate"})
    await serving(stage, spec)
    await stage.apply("LLMService", "chat", {**spec, "engine": {"maxModelLen": 1024}})
    await stage.rounds(2)
    stage.troubles[rollout(stage)["candidate"]] = Trouble(containers=(LOADING,))
    await stage.rounds(10)


async def unseen_edit(stage: Stage) -> None:
    await serving(stage)
    await stage.apply("LLMService", "chat", edited(engine={"maxModelLen": 1024}))


async def name_taken(stage: Stage) -> None:
    await stage.apply("LLMService", "elder", edited(modelNames=["taken"]))
    await stage.settle()
    await applied(edited(modelNames=["taken"]), rounds=10)(stage)


async def foreign_object(stage: Stage) -> None:
    theirs = {"metadata": {"name": "chat-engine", "namespace": NAMESPACE}, "spec": {"selector": {}}}
    await stage.kube.create({"apiVersion": "v1", "kind": "Service", **theirs}, manager="them")
    await applied(CHAT, rounds=10)(stage)


async def refused_by_admission(stage: Stage) -> None:
    def refuse(call: Call) -> None:
        if (call.verb, call.kind) == ("apply", "Deployment"):
            raise Forbidden("admission webhook denied the request")

    stage.kube.before = refuse
    await applied(CHAT, rounds=5)(stage)


async def deleting(stage: Stage) -> None:
    await serving(stage)
    stage.routers.deaf = True
    await stage.delete("LLMService", "chat")
    await stage.round()


async def router_away(stage: Stage) -> None:
    stage.routers.certified = False
    await stage.apply("LLMRouter", "front", WITH_CERTIFICATE)
    await applied(edited(routerRef={"name": "front"}), rounds=10)(stage)


async def model_accepted(stage: Stage) -> None:
    await stage.apply("LLMModel", "small", CHAT["model"])
    await stage.settle()


async def model_unseen(stage: Stage) -> None:
    await stage.apply("LLMModel", "small", CHAT["model"])


async def model_unreadable(stage: Stage) -> None:
    await stage.apply("LLMModel", "small", {"source": {"uri": "ftp://elsewhere"}})
    await stage.rounds(2)


def shared(kind: str, name: str, spec: dict[str, Any], rounds: int = 2) -> Story:
    """An object that services share."""

    async def story(stage: Stage) -> None:
        await stage.apply(kind, name, spec)
        await stage.rounds(rounds)

    return story


PROMPT = {"messages": [{"role": "system", "content": "You are the help desk."}]}
SUITE = {"cases": [{"name": "thanks", "assertions": [{"contains": "welcome"}]}]}
NO_SCHEMA = {"cases": [{"name": "json", "assertions": [{"jsonSchema": "no JSON"}]}]}


def router(spec: dict[str, Any], rounds: int = 10, **away: bool) -> Story:
    """A declared LLMRouter some passes later; its pods, or its certificate, may be missing."""

    async def story(stage: Stage) -> None:
        stage.routers.certified = away.get("certified", True)
        if not away.get("pods", True):
            stage.troubles["front-router"] = Trouble(containers=(RESTARTING,))
        await stage.apply("LLMRouter", "front", spec)
        await stage.rounds(rounds)

    return story


async def router_in_the_way(stage: Stage) -> None:
    theirs = {"metadata": {"name": "front-router", "namespace": NAMESPACE}, "spec": {"selector": {}}}
    await stage.kube.create({"apiVersion": "v1", "kind": "Service", **theirs}, manager="them")
    await router({})(stage)


WRONG = "proof “capital”: expected contains “Paris”, got “Lond”"
REFUSED: Final = edited(engine={"args": {"max-num-seqs": "many"}})
CHANGED: Final = edited(engine={"maxModelLen": 1024})
BIG: Final = edited(
    model={
        "source": {"uri": "file:///models/big"},
        "facts": {
            "parameters": 70_000_000_000,
            "layers": 80,
            "attentionHeads": 64,
            "kvHeads": 8,
            "headSize": 128,
            "hiddenSize": 8192,
            "vocabularySize": 128256,
            "dtype": "bfloat16",
            "contextLength": 8192,
        },
    },
    hardware={**GPU, "deviceMemory": "24Gi"},
)


SLOWLY: Final = [{"weight": 10, "minSeconds": 600}]


def judged(seconds: int = 20, **given: Any) -> Story:
    """A canary, and what is found of it within some seconds."""
    return causes_rollout.judged(seconds=seconds, **given)


async def aborted_candidate(stage: Stage) -> None:
    await causes_rollout.aborted(stage)
    await stage.rounds(10)


WAIT, READY, FAILED, LEAVING = Meaning.WAIT, Meaning.READY, Meaning.FAILED, Meaning.LEAVING

SERVICE_SITUATIONS: Final = (
    Situation("just created, seen by no pass yet", applied(CHAT, rounds=0), WAIT, "-"),
    Situation("the operator died between its first two writes", interrupted, WAIT, "-"),
    Situation("its model is being resolved", resolving, WAIT, "ResolvingModel"),
    Situation("its first engine is loading", first_start, WAIT, "EngineStarting"),
    Situation("ready", applied(CHAT, rounds=20), READY, "Answering"),
    Situation("ready, one of two engines restarts", heals_itself, READY, "Answering"),
    Situation("ready, then edited, the edit not seen yet", unseen_edit, WAIT, "Answering"),
    Situation("a surge is in progress", candidate(CHANGED, LOADING), WAIT, "EngineStarting"),
    Situation("a canary is being compared", judged(rate=0.0, steps=SLOWLY), WAIT, "Analysing"),
    Situation("a canary finds nothing out", judged(rate=0.0), WAIT, "AwaitingSamples"),
    Situation("a canary waits for a person's word", judged(gates=[], steps=MANUAL), WAIT, "AwaitingApproval"),
    Situation(
        "a canary was rejected, the old serves",
        judged(manner=Manner(failing=0.5), seconds=30, analysis=OFTEN),
        FAILED,
        "CanaryRejected",
    ),
    Situation("a candidate was aborted, the old serves", aborted_candidate, FAILED, "RolloutAborted"),
    Situation("no accelerator is free, the old serves", short_of_accelerators, WAIT, "InsufficientGPU"),
    Situation("between old and new with Recreate", recreate_gap, WAIT, "RecreateGap"),
    Situation(
        "an argument is wrong, the old serves",
        candidate(
            edited(engine={"args": {"max-num-seqs": "many"}}), ended("ArgumentsInvalid", "not a number")
        ),
        FAILED,
        "ArgumentsInvalid",
    ),
    Situation(
        "answers are wrong, the old serves",
        candidate(CHANGED, ended("WrongAnswers", WRONG)),
        FAILED,
        "WrongAnswers",
    ),
    Situation("the model does not fit, the old serves", applied(CHAT, BIG), FAILED, "ModelDoesNotFit"),
    Situation("its model name is taken", name_taken, FAILED, "ModelNameConflict"),
    Situation("a foreign object is in the way", foreign_object, FAILED, "ObjectNotOwned"),
    Situation(
        "no image is known for its accelerator",
        applied(CHAT, edited(hardware={"accelerator": {"resource": "acme.example/npu", "count": 1}})),
        FAILED,
        "ImageUnknown",
    ),
    Situation("its LLMModel is missing", applied({"modelRef": {"name": "gone"}}), WAIT, "ReferenceNotFound"),
    Situation("its Secret is missing", secret_missing, WAIT, "SecretNotFound"),
    Situation("its only engine crashes again and again", crash_loop, WAIT, "EngineCrashLooping"),
    Situation("its image cannot be pulled", unpulled, WAIT, "ImagePullFailed"),
    Situation("an admission policy refuses a child", refused_by_admission, WAIT, "ApplyRefused"),
    Situation("its router takes no requests", router_away, WAIT, "RouterNotReady"),
    Situation("paused, with a change held back", applied(CHAT, {**CHANGED, "paused": True}), WAIT, "Paused"),
    Situation("idle: no replicas are asked for", applied(CHAT, edited(replicas=0), rounds=20), READY, "Idle"),
    Situation("being deleted, requests drain", deleting, LEAVING, "Deleting"),
    Situation(
        "stored under older rules, unreadable today",
        applied({"model": {"source": {"uri": "ftp://elsewhere"}}}),
        FAILED,
        "InvalidSpec",
        storable=CHAT,
    ),
)

OTHER_SITUATIONS: Final = (
    Situation("seen by no pass yet", model_unseen, WAIT, "-", "LLMModel", "small"),
    Situation("accepted", model_accepted, READY, "Accepted", "LLMModel", "small"),
    Situation(
        "unreadable today", model_unreadable, FAILED, "InvalidSpec", "LLMModel", "small", CHAT["model"]
    ),
    Situation(
        "seen by no pass yet", shared("PromptVersion", "v1", PROMPT, 0), WAIT, "-", "PromptVersion", "v1"
    ),
    Situation("accepted", shared("PromptVersion", "v1", PROMPT), READY, "Accepted", "PromptVersion", "v1"),
    Situation("accepted", shared("PromptSuite", "tests", SUITE), READY, "Accepted", "PromptSuite", "tests"),
    Situation(
        "a schema in it is none",
        shared("PromptSuite", "tests", NO_SCHEMA),
        FAILED,
        "InvalidSpec",
        "PromptSuite",
        "tests",
    ),
    Situation("made on demand", applied(CHAT, rounds=20), READY, "OnDemand", "LLMRouter", "default"),
    Situation("declared, seen by no pass yet", router({}, rounds=0), WAIT, "-", "LLMRouter", "front"),
    Situation("declared and running", router({}), READY, "RouterReady", "LLMRouter", "front"),
    Situation("its pods restart", router({}, pods=False), WAIT, "RouterNotReady", "LLMRouter", "front"),
    Situation(
        "its certificate is missing",
        router(WITH_CERTIFICATE, certified=False),
        WAIT,
        "CertificateUnavailable",
        "LLMRouter",
        "front",
    ),
    Situation(
        "a foreign object is in the way", router_in_the_way, FAILED, "ObjectNotOwned", "LLMRouter", "front"
    ),
)

SITUATIONS: Final = (*SERVICE_SITUATIONS, *OTHER_SITUATIONS)
