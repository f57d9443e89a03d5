"""What a document that leaves the cluster still says, and what it doesn't."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.api.sealing import seal, sealed, sealed_address, sealed_variable, sealed_words

SECRET = "hunter2"
HASH = sealed(SECRET)


def packed(document: Any) -> str:
    """As a ConfigMap has it."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


DOCUMENTS: dict[str, tuple[Any, Any]] = {
    "a service's variables": ({"env": {"PASSWORD": SECRET}}, {"env": {"PASSWORD": HASH}}),
    "a container's variables": (
        {"env": [{"name": "PASSWORD", "value": SECRET}, {"name": "HOME", "value": "/tmp"}]},
        {"env": [{"name": "PASSWORD", "value": HASH}, {"name": "HOME", "value": "/tmp"}]},
    ),
    "a variable that comes from elsewhere": (
        {"env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]},
        {"env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]},
    ),
    "what Pointsman sets itself": (
        {"env": [{"name": "POINTSMAN_SOURCE", "value": "hf://a/b"}]},
        {"env": [{"name": "POINTSMAN_SOURCE", "value": "hf://a/b"}]},
    ),
    "what a check's Job runs": (
        {"checks": [{"name": "a", "job": {"image": "i", "command": ["sh", SECRET], "args": [SECRET]}}]},
        {"checks": [{"name": "a", "job": {"image": "i", "command": [sealed("sh"), HASH], "args": [HASH]}}]},
    ),
    "what it runs in its pod, and what others run beside ours": (
        {
            "containers": [
                {"name": name, "image": "i", "args": [SECRET]} for name in ("check", "istio-proxy")
            ],
            "initContainers": [
                {"name": "others", "command": [SECRET], "env": [{"name": "A", "value": SECRET}]}
            ],
        },
        {
            "containers": [{"name": name, "image": "i", "args": [HASH]} for name in ("check", "istio-proxy")],
            "initContainers": [{"name": "others", "command": [HASH], "env": [{"name": "A", "value": HASH}]}],
        },
    ),
    "an engine's arguments are declared openly": (
        {"containers": [{"name": "engine", "args": ["--seed=1"]}], "arguments": ["--seed=1"]},
        {"containers": [{"name": "engine", "args": ["--seed=1"]}], "arguments": ["--seed=1"]},
    ),
    "questions and answers, but not their names": (
        {"proof": [{"name": "capital", "message": SECRET, "answer": {"exact": SECRET}, "maxTokens": 3}]},
        {"proof": [{"name": "capital", "message": HASH, "answer": {"exact": HASH}, "maxTokens": 3}]},
    ),
    "what a prompt says, but not its variables' names": (
        {"messages": [{"role": "user", "content": "I am {{name}} and {{name}}"}]},
        {"messages": [{"role": "user", "content": sealed("I am {{name}} and {{name}}") + "{{name}}"}]},
    ),
    "what a suite asks and expects": (
        {
            "variables": [{"name": "a", "value": SECRET}],
            "assertions": [{"regex": SECRET}, {"similarity": {"to": SECRET, "minPermille": 1}}],
        },
        {
            "variables": [{"name": "a", "value": HASH}],
            "assertions": [{"regex": HASH}, {"similarity": {"to": HASH, "minPermille": 1}}],
        },
    ),
    "a schema stays one, and what is none stays none": (
        {"assertions": [{"jsonSchema": "{}"}, {"jsonSchema": SECRET}, {"jsonSchema": "[]"}]},
        {
            "assertions": [
                {"jsonSchema": f'{{"const":"{sealed("{}")}"}}'},
                {"jsonSchema": HASH},
                {"jsonSchema": sealed("[]")},
            ]
        },
    ),
    "a router's configuration": (
        {"config.json.gz": packed({"prompts": [{"messages": [{"role": "user", "content": SECRET}]}]})},
        {"config.json.gz": packed({"prompts": [{"messages": [{"content": HASH, "role": "user"}]}]})},
    ),
    "what should be one and isn't": ({"config.json.gz": SECRET}, {"config.json.gz": HASH}),
    "what a message quotes": (
        {"message": f"proof 'capital' expected “{SECRET}”, got “{SECRET}"},
        {"message": f"proof 'capital' expected “{HASH}”, got “{HASH}"},
    ),
    "a termination message": (
        {"message": json.dumps({"reason": "WrongAnswers", "message": f"got “{SECRET}”"})},
        {"message": f'{{"reason": "WrongAnswers", "message": "got \\u201c{HASH}\\u201d"}}'},
    ),
    "why a router refuses its configuration": (
        {"config_error": f"no such prompt: “{SECRET}”"},
        {"config_error": f"no such prompt: “{HASH}”"},
    ),
    "a copy of the whole object": (
        {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": SECRET, "team": "a"}},
        {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": HASH, "team": "a"}},
    ),
    "who wrote which field": ({"managedFields": [{"manager": "x"}], "name": "a"}, {"name": "a"}),
    "labels that are called like secrets": (
        {"labels": {"message": "“a”", "env": "prod"}, "args": {"note": "“a”"}},
        {"labels": {"message": "“a”", "env": "prod"}, "args": {"note": "“a”"}},
    ),
}


@pytest.mark.parametrize(("document", "expected"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_seals(document: Any, expected: Any) -> None:
    assert seal(document) == expected
    assert seal(seal(document)) == expected


ADDRESSES = {
    "with a password": ("http://me:secret@proxy.corp:3128", r"http://[0-9a-f]{12}\.sealed:3128"),
    "with a path": ("https://mirror.corp/hub", r"https://[0-9a-f]{12}\.sealed"),
    "without a scheme": ("proxy.corp:3128", r"sealed:[0-9a-f]{12}"),
    "a list of exceptions": ("10.0.0.0/8,.svc", r"sealed:[0-9a-f]{12}"),
}


@pytest.mark.parametrize(("address", "expected"), ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_keeps_what_network_policies_follow_from(address: str, expected: str) -> None:
    assert re.fullmatch(expected, sealed_address(address))
    assert sealed_variable("HTTPS_PROXY", address) == sealed_address(address)


def test_the_proof_in_a_pod_is_sealed_as_the_proof_in_a_spec_is() -> None:
    proof = [{"name": "capital", "prompt": SECRET, "answer": {"regex": SECRET}}]

    def rendered(value: Any) -> str:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    variable = sealed_variable("POINTSMAN_PROOF", rendered(proof))
    assert variable == rendered(seal({"proof": proof})["proof"])
    assert sealed_variable("POINTSMAN_PROOF", "no JSON").startswith("sealed:")


TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["http://a:1", "sealed:0123456789ab", "“", "{", "“a”"])
)


@settings(max_examples=200, derandomize=True)
@given(text=TEXTS, name=st.sampled_from(["A", "NO_PROXY", "HF_ENDPOINT", "POINTSMAN_PROOF", "HOME"]))
def test_what_is_sealed_stays_as_it_is(text: str, name: str) -> None:
    assert sealed_variable(name, sealed_variable(name, text)) == sealed_variable(name, text)
    assert sealed_words(sealed_words(text)) == sealed_words(text)
