"""Somebody applies ten lines of YAML and asks a question."""

from __future__ import annotations

import openai
import pytest

from e2e import traffic
from e2e.cluster import Cluster
from e2e.manifests import SMOLLM2, service
from e2e.namespace import Namespace, names

READY_WITHIN_S = 600.0


def test_first_answer(cluster: Cluster, namespace: Namespace) -> None:
    """Created, an LLMService becomes Ready, and a real model answers right, streamed, with its usage."""
    namespace.apply(service("chat", model={"source": {"uri": SMOLLM2}}))
    ready = namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
    assert ready["status"]["addresses"] == [{"url": f"http://default-router.{namespace.name}.svc"}]
    assert ready["status"]["readyReplicas"] == 1
    namespace.wait_until_ready("llmrouter/default", READY_WITHIN_S)

    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        traffic.client(address) as api,
    ):
        assert [model.id for model in api.models.list()] == ["chat"]

        answer = traffic.ask(api, "chat", "What is the capital of France?", max_tokens=32)
        assert "Paris" in answer.text
        assert answer.finish in ("stop", "length")
        assert answer.completion_tokens > 0, "include_usage brings the usage in the last chunk"
        assert answer.chunks > answer.completion_tokens / 2, "it was streamed, token by token"

        whole = api.chat.completions.create(
            model="chat",
            messages=[{"role": "user", "content": "What is the capital of France?"}],
            max_tokens=32,
            temperature=0,
        )
        assert whole.model == "chat"
        assert "Paris" in str(whole.choices[0].message.content)

        with pytest.raises(openai.NotFoundError) as refused:
            traffic.ask(api, "nobody", "Are you there?", max_tokens=1)
        assert refused.value.code == "model_not_found"

    assert names(namespace.items("llmrouters")) == {"default"}
    assert namespace.items("llmrouters")[0]["metadata"]["labels"]["pointsman.dev/on-demand"] == "true"
