"""Other ways a change comes in: in the shadow, checked by somebody else, all at once, as an experiment."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from e2e import traffic
from e2e.cluster import Cluster
from e2e.conditions import told
from e2e.load import STREAMED, Load
from e2e.manifests import scripted
from e2e.namespace import Manifest, Namespace
from e2e.release import Release
from e2e.rollout_ways import webhook
from e2e.waiting import wait_for

SERVICE = "llmservice/chat"
WITHIN_S = 300.0
RATE = 20.0
INTERVAL_S = 10
JUDGE = """
import json, os, sys, urllib.request
url = os.environ["POINTSMAN_ASK_URL"] + "?variant=" + os.environ["POINTSMAN_CANDIDATE"]
body = json.dumps({"messages": [{"role": "user", "content": "Sing."}], "max_tokens": 4}).encode()
request = urllib.request.Request(url, body, {"content-type": "application/json"})
said = json.load(urllib.request.urlopen(request, timeout=30))["choices"][0]["message"]["content"]
if not said.startswith("lo "):
    open("/dev/termination-log", "w").write(f"it sings {said.split()[0]} and not lo")
    sys.exit(1)
"""
"""A Job's program, which any image with Python in it can run."""

pytestmark = pytest.mark.extended


def test_shadow(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """A candidate that fails every other request is rejected before anybody is answered by it."""
    rollout = {
        "strategy": "Canary",
        "steps": [{"weight": 0, "shadow": 50, "minSeconds": 10}, {"weight": 50, "minSeconds": 10}],
        "gates": [{"metric": "errorRate"}],
        "analysis": {"intervalSeconds": INTERVAL_S, "warmUp": {"requests": 0}},
    }
    with _serving(release, cluster, namespace, rollout) as (stable, load):
        _declare(namespace, release, rollout, {"scripted-fails": "0.5"})
        ready = namespace.wait_for_reason(SERVICE, "Ready", "CanaryRejected", WITHIN_S)
        print(ready)
        assert "errorRate" in ready.message
        assert namespace.condition(SERVICE, "Available").status == "True"
        load.stop()
        assert {outcome.revision for outcome in load.outcomes} == {stable}
    assert load.failures == []


def test_checks(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """A Job's no rejects with what it said; with its yes and a webhook's the candidate is promoted."""
    image = release.image("scripted-engine")
    namespace.apply(*webhook.manifests(image))
    rollout = {
        "strategy": "Canary",
        "steps": [{"weight": 50, "minSeconds": 5}],
        "gates": [],
        "analysis": {"intervalSeconds": INTERVAL_S},
        "checks": [
            {"name": "calendar", "webhook": {"url": webhook.URL}},
            {"name": "singing", "job": {"image": image, "command": ["python3", "-c", JUDGE]}},
        ],
    }
    with _serving(release, cluster, namespace, rollout) as (stable, load):
        _declare(namespace, release, rollout, {"scripted-says": "no "})
        ready = namespace.wait_for_reason(SERVICE, "Ready", "CanaryRejected", WITHIN_S)
        print(ready)
        assert "singing" in ready.message
        assert "it sings no and not lo" in ready.message
        assert _shares(namespace) == {stable: 100}
        _declare(namespace, release, rollout, {"scripted-says": "lo "})
        after = namespace.wait_until_ready(SERVICE, WITHIN_S)["status"]["rollout"]
        print(after["checks"])
        assert after["stable"] != stable
        verdicts = {(one["name"], one["verdict"]) for one in after["checks"]}
        assert {("calendar", "Pass"), ("singing", "Pass")} <= verdicts
    assert load.failures == []


def test_blue_green(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """All traffic moves at once; aborted in its bake it is all back, on pods that never went."""
    rollout = {
        "strategy": "BlueGreen",
        "bakeSeconds": 20,
        "gates": [],
        "analysis": {"intervalSeconds": INTERVAL_S},
    }
    with _serving(release, cluster, namespace, rollout) as (stable, load):
        pods = _engines(namespace, stable)
        _declare(namespace, release, rollout, {"scripted-says": "lo "})
        candidate = _wait_for(namespace, "all to be with the candidate", _baking)["candidate"]
        assert _shares(namespace) == {stable: 0, candidate: 100}
        _declare(namespace, release, {**rollout, "abort": candidate}, {"scripted-says": "lo "})
        namespace.wait_for_reason(SERVICE, "Ready", "RolloutAborted", WITHIN_S)
        assert _shares(namespace) == {stable: 100}
        assert _engines(namespace, stable) == pods
        _declare(namespace, release, rollout, {"scripted-says": "li "})
        after = namespace.wait_until_ready(SERVICE, WITHIN_S)["status"]["rollout"]
        assert after["stable"] not in (stable, candidate)
        load.stop()
        seen = Counter(outcome.revision for outcome in load.outcomes)
        print(f"aborted in its bake: {candidate}; answered: {dict(seen)}")
        assert {candidate, after["stable"]} <= set(seen)
    assert load.failures == []


def test_experiment(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """The prompt whose answers people like better is recommended, and nothing is switched."""
    namespace.apply(_prompt("help-v1"), _prompt("help-v2"))
    asked = {"promptRef": {"name": "help-v1"}}
    namespace.apply(_service(release, {"strategy": "Canary"}, {}, **asked))
    before = namespace.wait_until_ready(SERVICE, WITHIN_S)["status"]["rollout"]
    experiment = {
        "promptRef": {"name": "help-v2"},
        "weight": 50,
        "metrics": [
            {"metric": "feedbackScore", "relevantPercent": 10},
            {"metric": "errorRate", "relevantPermille": 50},
        ],
    }
    namespace.apply(_service(release, {"strategy": "Canary"}, {}, **asked, experiment=experiment))
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        _users(address, {"help-v1": 0.4, "help-v2": 0.9}) as asked_of,
    ):
        last = wait_for(
            "a recommendation",
            lambda: _recommendation(namespace),
            2 * WITHIN_S,
            seen=lambda: _told(namespace),
        )
    print(f"{last['recommendation']}: {last['message']}; answered by {dict(asked_of)}")
    assert last["recommendation"] == "Challenger"
    assert asked_of["help-v1"] == pytest.approx(asked_of["help-v2"], rel=0.3)
    after = namespace.the(SERVICE)["status"]["rollout"]
    assert after["stable"] == before["stable"]
    assert namespace.condition(SERVICE, "Ready").status == "True"


@contextmanager
def _users(address: str, likes: Mapping[str, float]) -> Iterator[Counter[str]]:
    """People who ask ten times a second and report how they like what came, by its prompt."""
    ended, asked_of = threading.Event(), Counter[str]()

    def run() -> None:
        with traffic.client(address) as api:
            while not ended.wait(0.1):
                _asks_and_reports(api, likes, asked_of)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield asked_of
    finally:
        ended.set()
        thread.join(30.0)


def _asks_and_reports(api: openai.OpenAI, likes: Mapping[str, float], asked_of: Counter[str]) -> None:
    question = f"Help me with {os.urandom(4).hex()}."
    answer = api.chat.completions.with_raw_response.create(
        model="chat",
        messages=[{"role": "user", "content": question}],
        max_tokens=2,
        extra_body={"token_seconds": 0.001},
    )
    prompt = answer.headers["x-pointsman-prompt"]
    # Nobody likes every answer of the better one, nor none of the other.
    score = likes[prompt] + (asked_of[prompt] % 5 - 2) / 20
    asked_of[prompt] += 1
    api.post("/feedback", body={"id": answer.parse().id, "score": round(score, 2)}, cast_to=object)


def _recommendation(namespace: Namespace) -> Manifest | None:
    found: Manifest = namespace.the(SERVICE)["status"].get("experiment") or {}
    return found if found.get("recommendation") else None


@contextmanager
def _serving(
    release: Release, cluster: Cluster, namespace: Namespace, rollout: Mapping[str, Any]
) -> Iterator[tuple[str, Load]]:
    """The stable revision of a service that serves, and the load on it."""
    _declare(namespace, release, rollout, {})
    stable = namespace.wait_until_ready(SERVICE, WITHIN_S)["status"]["rollout"]["stable"]
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Load(address, "chat", RATE, (STREAMED,)) as load,
    ):
        wait_for("the first answers", lambda: load.outcomes, 60.0, seen=lambda: str(load))
        yield stable, load
        load.stop()
    print(load)


def _declare(
    namespace: Namespace, release: Release, rollout: Mapping[str, Any], arguments: Mapping[str, str]
) -> None:
    namespace.apply(_service(release, rollout, arguments))


def _service(
    release: Release, rollout: Mapping[str, Any], arguments: Mapping[str, str], **over: Any
) -> Manifest:
    return scripted(
        "chat",
        release.image("scripted-engine"),
        engine={"args": dict(arguments)},
        rollout=dict(rollout),
        drainSeconds=5,
        **over,
    )


def _prompt(name: str) -> Manifest:
    return {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "PromptVersion",
        "metadata": {"name": name},
        "spec": {"family": "help", "messages": [{"role": "system", "content": f"You are {name}."}]},
    }


def _baking(at: Manifest) -> bool:
    return bool(at["step"] == "Baking")


def _wait_for(namespace: Namespace, what: str, reached: Callable[[Manifest], bool]) -> Manifest:
    """`status.rollout` once it is there."""

    def look() -> Manifest | None:
        at: Manifest = namespace.the(SERVICE)["status"]["rollout"]
        return at if reached(at) else None

    return wait_for(what, look, WITHIN_S, seen=lambda: _told(namespace), period_s=0.2)


def _shares(namespace: Namespace) -> dict[str, int]:
    traffic_ = namespace.the(SERVICE)["status"]["rollout"]["traffic"]
    return {one["revision"]: one["weight"] for one in traffic_}


def _engines(namespace: Namespace, revision: str) -> set[str]:
    """The uids of a revision's pods."""
    pods = namespace.items("pods", "pointsman.dev/service=chat,pointsman.dev/role=engine")
    return {pod["metadata"]["uid"] for pod in pods if pod["metadata"]["name"].startswith(f"{revision}-")}


def _told(namespace: Namespace) -> str:
    return told(namespace.the(SERVICE))
