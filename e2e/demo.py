"""`make demo`: from a fresh machine to a streamed answer of a real model, every stage with its time.

What it shows is what a user would do by hand: a cluster, the chart, an example's manifests, a chat by the
OpenAI client through the router's Service. Run again, it finds what is there.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import helm_python
import openai
import yaml

from e2e import diagnosis, traffic
from e2e.cluster import Cluster, ClusterError, Wish, current
from e2e.cluster.progress import say, spoken
from e2e.conditions import Condition, changed, is_ready, told
from e2e.namespace import Manifest, Namespace
from e2e.preparing import Stages, prepare
from e2e.release import LOCAL_REGISTRY, Release
from e2e.waiting import GaveUp, wait_for

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "first-light"
NAMESPACE = "pointsman-demo"
QUESTION = "What is the capital of France?"
ANSWER_TOKENS = 64
READY_WITHIN_S = 900.0

EXPECTED = (
    ClusterError,
    helm_python.HelmError,
    GaveUp,
    openai.OpenAIError,
    OSError,
    subprocess.SubprocessError,
)
"""What may go wrong on the way; anything else is a mistake of ours, and keeps its traceback."""

HELP = {
    "cluster": "`make down` clears away what is half up; `python -m e2e.cluster preflight` checks it.",
    "images": "What is built already is kept: `make images` goes on from there and shows the same error.",
    "load": "`python -m e2e.cluster images` lists what the node has; `make down` starts it anew.",
    "chart": "The operator has to become ready: the end of its log is above.",
    "service": "`kubectl describe llmservice` says why; docs/conditions.md says what helps with each reason.",
    "answer": "The service is ready, yet the request failed: the routers' logs are above.",
}
"""What somebody can do about it, by the stage that failed."""


def main() -> None:
    arguments = _parser().parse_args()
    # Asked to end, take down what is half up; without this only an interrupt would.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stages = Stages()
    try:
        run(stages, Wish(context=arguments.context, kubeconfig=arguments.kubeconfig), arguments.registry)
    except EXPECTED as error:
        sys.exit(explain(stages.current, error))
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--context", default="", help="use this context's cluster instead of starting one")
    parser.add_argument(
        "--kubeconfig", type=Path, help="the file that has the context (default: ~/.kube/config)"
    )
    parser.add_argument(
        "--registry", default=os.environ.get("REGISTRY", ""), help="where images were pushed to (make images)"
    )
    return parser


def run(stages: Stages, wish: Wish, registry: str) -> None:
    """The whole way, from nothing to the answer."""
    release = prepare(stages, wish, registry)
    namespace = Namespace(release.cluster.kubectl, NAMESPACE)
    with stages.stage("service", f"An LLMService: {EXAMPLE.relative_to(ROOT)}") as stage:
        if release.loaded and namespace.items("llmservices"):
            say("  Images have changed since the last time: what ran on the old ones goes first.")
            namespace.remove(wait=True)
        namespace.create()
        stage.note = "found" if namespace.items("llmservices") else "new"
        service = apply_example(namespace, release)
        watch_until_ready(namespace, f"llmservice/{service}")
    with stages.stage("answer", f"A chat with {service!r}, by the OpenAI client"):
        chat(release.cluster, namespace, service)
    say("\n== What there is\n")
    print(release.cluster.kubectl.run("get", "llmservice,llmrouter,llmmodel", f"--namespace={NAMESPACE}"))
    say(f"== Times\n\n{stages.table()}\n")
    say(next_steps(release.cluster))


def apply_example(namespace: Namespace, release: Release) -> str:
    """Applies the example's manifests as they are; returns the name of its service."""
    manifests: list[Manifest] = []
    for path in sorted(EXAMPLE.glob("*.yaml")):
        say(f"\n{_indented(path.read_text())}")
        manifests += yaml.safe_load_all(path.read_text())
    namespace.apply(*(_from_registry(manifest, release.registry) for manifest in manifests))
    return next(str(m["metadata"]["name"]) for m in manifests if m["kind"] == "LLMService")


def _from_registry(manifest: Manifest, registry: str) -> Manifest:
    """The manifest with images of ours taken from `registry`."""
    if registry == LOCAL_REGISTRY:
        return manifest
    text = yaml.safe_dump(manifest).replace(f"{LOCAL_REGISTRY}/", f"{registry}/")
    replaced: Manifest = yaml.safe_load(text)
    return replaced


def watch_until_ready(namespace: Namespace, target: str) -> None:
    """Waits until the object is Ready, and shows each condition as it changes."""
    began = time.monotonic()
    last: dict[str, Any] = {}

    def look() -> bool:
        nonlocal last
        before, last = last, namespace.the(target)
        for condition in changed(before, last):
            say(_line(time.monotonic() - began, condition))
        return is_ready(last)

    wait_for(f"{target} to be ready", look, READY_WITHIN_S, seen=lambda: told(last))


def _line(seconds: float, condition: Condition) -> str:
    said = f"{condition.reason}: {condition.message}" if condition.message else condition.reason
    return f"  {spoken(seconds):>6}  {condition.type:18} {condition.status:7}  {said}"


def chat(cluster: Cluster, namespace: Namespace, model: str) -> None:
    """Asks the model through the router's Service, and prints its answer as it comes."""
    router = namespace.the(f"llmservice/{model}")["spec"].get("routerRef", {}).get("name", "default")
    with cluster.forward(f"service/{router}-router", "http", namespace.name) as address:
        say(f"  http://{address}/v1 leads to Service {router}-router in namespace {namespace.name}\n")
        print(f"> {QUESTION}\n", flush=True)
        with traffic.client(address) as api:
            for piece in traffic.stream(api, model, QUESTION, max_tokens=ANSWER_TOKENS):
                if isinstance(piece, traffic.Answer):
                    _summarise(piece)
                else:
                    print(piece, end="", flush=True)


def _summarise(answer: traffic.Answer) -> None:
    if not answer.text.strip():
        raise GaveUp(f"the answer is empty: {answer}")
    print(f"\n\n({answer.completion_tokens} tokens in {answer.chunks} chunks, finish: {answer.finish})")


def explain(stage: str, error: BaseException) -> str:
    """What to print when a stage failed: what went wrong, what was there, what to do."""
    parts = [f"\nThe demo ended in the stage {stage!r}."] if stage else []
    if stage in ("chart", "service", "answer"):
        parts.append(_seen())
    parts += [f"What went wrong: {error}", HELP.get(stage, "")]
    return "\n\n".join(part for part in parts if part)


def _seen() -> str:
    try:
        return diagnosis.report(current().kubectl, NAMESPACE)
    except ClusterError as error:
        return str(error)


def next_steps(cluster: Cluster) -> str:
    """What to try now."""
    ours = cluster.record.provider != "context"
    end = "make down" if ours else f"kubectl delete namespace {NAMESPACE}; helm uninstall, as README.md says"
    return (
        f"It stays up. Try:\n\n"
        f"  export KUBECONFIG={cluster.kubeconfig}\n"
        f"  {cluster.kubectl.program} describe llmservice --namespace={NAMESPACE}\n"
        f"  .venv/bin/python -m e2e.cluster forward service/default-router http --namespace={NAMESPACE}\n\n"
        f"End it with: {end}"
    )


def _indented(text: str) -> str:
    return "".join(f"    {line}" for line in text.splitlines(keepends=True))


if __name__ == "__main__":
    main()
