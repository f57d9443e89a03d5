"""Causes in the engine itself: its image, its weights, its memory, its arguments, its answers."""

from __future__ import annotations

from typing import Any

from e2e.causes import signs
from e2e.causes.cause import SERVICE, Cause, Scene
from e2e.manifests import service

ERROR = "the weights have shape [8, 16], and [8, 32] was expected"
QUESTION = {"name": "capital", "message": "The capital of France?", "maxTokens": 4}
PROOF = [{**QUESTION, "answer": {"contains": "Paris"}}]
# The brackets: the shell's own command line must not match.
KILL = (
    "for p in /proc/[0-9]*; do grep -q 'scripted/engin[e].py' $p/cmdline && kill -{} ${{p#/proc/}}; done; :"
)


def _told(**script: str) -> dict[str, Any]:
    """What an engine that misbehaves is told; an empty word takes it back."""
    return {"args": {f"scripted-{name}": value or None for name, value in script.items()}}


def _start_told(scene: Scene, **script: str) -> None:
    scene.start(engine=_told(**script))


def _ready(scene: Scene) -> None:
    scene.start()


def _signal(scene: Scene, name: str) -> None:
    scene.inside(KILL.format(name))


def _hogs(scene: Scene) -> None:
    scene.start(engine=_told(hogs="300"), hardware={"resources": {"limits": {"memory": "128Mi"}}})


def _fills(scene: Scene) -> None:
    limit = {"resources": {"limits": {"ephemeral-storage": "10Mi"}}}
    scene.start(engine=_told(fills="64", loads="300"), hardware=limit)


def _real(scene: Scene, **arguments: str) -> None:
    """Real vLLM instead of the scripted engine."""
    scene.namespace.apply(service(SERVICE, engine={"args": arguments}, drainSeconds=1))


def _proven(scene: Scene) -> None:
    scene.start(model={"proof": PROOF})


CAUSES = (
    Cause(
        "image missing",
        "ImagePullFailed",
        act=lambda scene: scene.start(engine={"image": f"{scene.release.registry}/nothing:1"}),
        sign=signs.waiting("ErrImagePull", "ImagePullBackOff"),
        says="nothing:1",
        mend=lambda scene: scene.edit(engine={"image": scene.image}),
        mended=None,
    ),
    Cause(
        "another program's image",
        "EngineCrashLooping",
        act=lambda scene: scene.start(engine={"image": scene.release.image("router")}),
        sign=signs.waiting("CrashLoopBackOff"),
        mend=lambda scene: scene.edit(engine={"image": scene.image}),
        mended=None,
    ),
    Cause(
        "crash with an error of its own",
        "EngineFailed",
        act=lambda scene: _start_told(scene, error=ERROR),
        sign=signs.ended(),
        says=ERROR,
        mend=lambda scene: scene.edit(engine=_told(error="")),
        mended=None,
    ),
    Cause(
        "wrong argument (real vLLM)",
        "ArgumentsInvalid",
        act=lambda scene: _real(scene, **{"max-num-seqs": "many"}),
        sign=signs.ended(),
        says="max-num-seqs",
        mend=lambda scene: scene.edit(engine={"args": {"max-num-seqs": "4"}}),
        mended=None,
    ),
    Cause(
        "out of host memory",
        "OutOfMemory",
        act=_hogs,
        sign=signs.ended(),
        says="memory",
        mend=lambda scene: scene.edit(engine=_told(hogs="")),
        mended=None,
    ),
    Cause(
        "evicted for its disk",
        "Evicted",
        act=_fills,
        sign=signs.evicted,
        mend=lambda scene: scene.edit(engine=_told(fills="", loads="")),
        mended=None,
    ),
    Cause(
        "engine hangs",
        "EngineUnresponsive",
        before=_ready,
        settled=signs.ready(SERVICE),
        act=lambda scene: _signal(scene, "STOP"),
        sign=signs.none_ready,
        mend=lambda scene: _signal(scene, "CONT"),
        mended=signs.pod_ready(),
    ),
    Cause(
        "last engine gone",
        "NoReadyReplicas",
        before=_ready,
        settled=signs.ready(SERVICE),
        act=lambda scene: _signal(scene, "KILL"),
        sign=signs.none_ready,
        shown=signs.lost(SERVICE),
        mend=lambda scene: None,
        mended=signs.pod_ready(),
    ),
    Cause(
        "one of two engines gone",
        "Answering",
        before=lambda scene: scene.start(replicas=2),
        settled=signs.ready(SERVICE),
        act=lambda scene: _signal(scene, "KILL"),
        sign=signs.fewer_ready(2),
        shown=signs.nothing,
        mend=lambda scene: None,
        mended=signs.all_ready(2),
        steady=True,
    ),
    Cause(
        "wrong answers",
        "WrongAnswers",
        act=_proven,
        sign=signs.ended(),
        says="capital",
        mend=lambda scene: scene.edit(engine=_told(says="Paris ")),
        mended=None,
    ),
    Cause(
        "probe fails",
        "ProbeFailed",
        act=lambda scene: _start_told(scene, refuses="/v1/chat/completions"),
        sign=signs.pod_ready(),
        says="500",
        mend=lambda scene: scene.inside("touch /tmp/mended"),
        mended=None,
    ),
)
