"""Other ways a change comes in: in the shadow, checked by somebody else, all at once, as an experiment."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import openai
import pytest

from e2e import traffic
from e2e.changing import SERVICE, WITHIN_S, Changing
from e2e.namespace import Manifest, Namespace
from e2e.rollout_ways import webhook
from e2e.waiting import wait_for

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


def test_shadow(changing: Changing) -> None:
    """A candidate that fails every other request is rejected before anybody is answered by it."""
    rollout = {
        "strategy": "Canary",
        "steps": [{"weight": 0, "shadow": 50, "minSeconds": 10}, {"weight": 50, "minSeconds": 10}],
        "gates": [{"metric": "errorRate"}],
        "analysis": {"intervalSeconds": INTERVAL_S, "warmUp": {"requests": 0}},
    }
    changing.declare(rollout, {})
    with changing.loaded() as (stable, load):
        changing.declare(rollout, {"scripted-fails": "0.5"})
        ready = changing.namespace.wait_for_reason(SERVICE, "Ready", "CanaryRejected", WITHIN_S)
        print(ready)
        assert "errorRate" in ready.message
        assert changing.namespace.condition(SERVICE, "Available").status == "True"
        load.stop()
        assert {outcome.revision for outcome in load.outcomes} == {stable}
    assert load.failures == []


def test_checks(changing: Changing) -> None:
    """A Job's no rejects with what it said; with its yes and a webhook's the candidate is promoted."""
    image = changing.release.image("scripted-engine")
    changing.namespace.apply(*webhook.manifests(image))
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
    changing.declare(rollout, {})
    with changing.loaded() as (stable, load):
        changing.declare(rollout, {"scripted-says": "no "})
        ready = changing.namespace.wait_for_reason(SERVICE, "Ready", "CanaryRejected", WITHIN_S)
        print(ready)
        assert "singing" in ready.message
        assert "it sings no and not lo" in ready.message
        assert changing.shares() == {stable: 100}
        changing.declare(rollout, {"scripted-says": "lo "})
        after = changing.wait_until_ready()
        print(after["checks"])
        assert after["stable"] != stable
        verdicts = {(one["name"], one["verdict"]) for one in after["checks"]}
        assert {("calendar", "Pass"), ("singing", "Pass")} <= verdicts
    assert load.failures == []


def test_blue_green(changing: Changing) -> None:
    """All traffic moves at once; aborted in its bake it is all back, on pods that never went."""
    rollout = {
        "strategy": "BlueGreen",
        "bakeSeconds": 20,
        "gates": [],
        "analysis": {"intervalSeconds": INTERVAL_S},
    }
    changing.declare(rollout, {})
    with changing.loaded() as (stable, load):
        pods = _engines(changing.namespace, stable)
        changing.declare(rollout, {"scripted-says": "lo "})
        candidate = changing.wait_for("all to be with the candidate", _baking)["candidate"]
        assert changing.shares() == {stable: 0, candidate: 100}
        changing.declare({**rollout, "abort": candidate}, {"scripted-says": "lo "})
        changing.namespace.wait_for_reason(SERVICE, "Ready", "RolloutAborted", WITHIN_S)
        assert changing.shares() == {stable: 100}
        assert _engines(changing.namespace, stable) == pods
        changing.declare(rollout, {"scripted-says": "li "})
        last = changing.wait_until_ready()["stable"]
        assert last not in (stable, candidate)
        load.stop()
        seen = Counter(outcome.revision for outcome in load.outcomes)
        print(f"aborted in its bake: {candidate}; answered: {dict(seen)}")
        assert {candidate, last} <= set(seen)
    assert load.failures == []


def test_experiment(changing: Changing) -> None:
    """The prompt whose answers people like better is recommended, and nothing is switched."""
    namespace = changing.namespace
    namespace.apply(_prompt("help-v1"), _prompt("help-v2"))
    changing.declare({"strategy": "Canary"}, {}, promptRef={"name": "help-v1"})
    stable = changing.wait_until_ready()["stable"]
    experiment = {
        "promptRef": {"name": "help-v2"},
        "weight": 50,
        "metrics": [
            {"metric": "feedbackScore", "relevantPercent": 10},
            {"metric": "errorRate", "relevantPermille": 50},
        ],
    }
    changing.declare({"strategy": "Canary"}, {}, promptRef={"name": "help-v1"}, experiment=experiment)
    wait_for("it to begin", lambda: _seen(namespace).get("startedAt"), WITHIN_S, seen=changing.told)
    with (
        changing.release.cluster.forward("service/default-router", "http", namespace.name) as address,
        _users(address, {"help-v1": 0.4, "help-v2": 0.9}) as asked_of,
    ):
        last = wait_for(
            "a recommendation", lambda: _recommendation(namespace), 2 * WITHIN_S, seen=changing.told
        )
    print(f"{last['recommendation']}: {last['message']}; answered by {dict(asked_of)}")
    assert last["recommendation"] == "Challenger"
    assert asked_of["help-v1"] == pytest.approx(asked_of["help-v2"], rel=0.3)
    assert changing.rollout()["stable"] == stable
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
    found = _seen(namespace)
    return found if found.get("recommendation") else None


def _seen(namespace: Namespace) -> Manifest:
    """What status tells of the experiment."""
    found: Manifest = namespace.the(SERVICE)["status"].get("experiment") or {}
    return found


def _prompt(name: str) -> Manifest:
    return {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "PromptVersion",
        "metadata": {"name": name},
        "spec": {"family": "help", "messages": [{"role": "system", "content": f"You are {name}."}]},
    }


def _baking(at: Manifest) -> bool:
    return bool(at["step"] == "Baking")


def _engines(namespace: Namespace, revision: str) -> set[str]:
    """The uids of a revision's pods."""
    pods = namespace.items("pods", f"pointsman.dev/revision={revision},pointsman.dev/role=engine")
    return {pod["metadata"]["uid"] for pod in pods}
