"""From what people declare of a trial (a PromptSuite, prompts to be answered alike) to what is asked.

A case's variables go where clients put theirs, in the types that the candidate's prompt declares; an
embedding service of the namespace becomes an address. Texts are known by the digests of what was declared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pointsman.api import sealing
from pointsman.api.prompt import PromptSpec, VariableType
from pointsman.api.prompt_suite import ANSWERS_LIMIT, Assertion, CaseVariable, PromptSuite, SuiteCase
from pointsman.api.prompt_suite import Embedding as DeclaredEmbedding
from pointsman.api.rollout import Equivalence as DeclaredEquivalence
from pointsman.api.service import LLMService
from pointsman.core import prompting
from pointsman.core.trial import Case, Embedding, Equivalence, Suite

_EMBEDDINGS: Final = "/embeddings"


def suite(declared: PromptSuite, prompt: PromptSpec | None, peers: Sequence[LLMService]) -> Suite:
    """What is asked of a candidate that answers by `prompt`; `peers`: the services of the namespace."""
    spec, types = declared.spec, _types(prompt)
    places = {place: name for name, place in _places(spec.cases).items()}
    return Suite(
        name=declared.metadata.name,
        cases=[_case(case, types, places) for case in spec.cases],
        may_fail=spec.may_fail or 0,
        seed=spec.seed or 0,
        # Values are sent in the types that the prompt has, so it is part of what is asked.
        digest=f"{prompting.digest(spec)}/{_digest(sorted(types.items()))}",
        embeddings={name: _embedding(place, peers) for place, name in places.items()},
    )


def missing_embedding(declared: PromptSuite, peers: Iterable[LLMService]) -> str:
    """Name of an LLMService that a suite's similarity asks for and that isn't there; empty for none."""
    there = {peer.metadata.name for peer in peers}
    named = (place.service_ref.name for place in _places(declared.spec.cases).values() if place.service_ref)
    return next((name for name in named if name not in there), "")


def equivalence(declared: DeclaredEquivalence, prompt: PromptSpec | None) -> Equivalence:
    """Each text as a user's message in a chat of its own, all with the same values for the prompt."""
    types = _types(prompt)
    values = _values(declared.variables, types)
    percent = declared.min_agreement_percent
    digest = _digest(sealing.seal({"equivalence": declared.to_wire()}))
    return Equivalence(
        requests=[{"messages": [_user(text)], **values} for text in declared.prompts],
        min_agreement_percent=100 if percent is None else percent,
        digest=f"{digest}/{_digest(sorted(types.items()))}" if values else digest,
    )


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _case(
    case: SuiteCase, types: Mapping[str, VariableType], places: Mapping[DeclaredEmbedding, str]
) -> Case:
    messages = [{"role": m.role.value, "content": m.content} for m in case.messages or ()]
    return Case(
        name=case.name,
        request={"messages": messages, **_values(case.variables, types)},
        assertions=[_assertion(one, places) for one in case.assertions],
        times=case.times or 1,
        may_fail=case.may_fail or 0,
        max_tokens=case.max_tokens or ANSWERS_LIMIT,
    )


def _assertion(declared: Assertion, places: Mapping[DeclaredEmbedding, str]) -> dict[str, Any]:
    wire: dict[str, Any] = declared.to_wire()
    if declared.similarity is not None:
        similarity = {**wire["similarity"], "embedding": places[declared.similarity.embedding]}
        return {"similarity": similarity}
    return wire


def _types(prompt: PromptSpec | None) -> dict[str, VariableType]:
    return {variable.name: variable.type for variable in (prompt and prompt.variables) or ()}


def _values(given: Sequence[CaseVariable] | None, types: Mapping[str, VariableType]) -> dict[str, Any]:
    """The member of a request that values are sent in; nothing where none are given."""
    values = {one.name: _value(one.value, types.get(one.name)) for one in given or ()}
    return {sealing.PROMPT_VARIABLES: values} if values else {}


def _value(text: str, wanted: VariableType | None) -> str | int | float | bool:
    """The value that a client would send. What isn't of its type is sent as it is, and refused by name."""
    try:
        match wanted:
            case VariableType.INTEGER:
                return int(text)
            case VariableType.NUMBER:
                return float(text) if "." in text else int(text)
            case VariableType.BOOLEAN if text in ("true", "false"):
                return text == "true"
            case _:
                return text
    except ValueError:
        return text


def _places(cases: Iterable[SuiteCase]) -> dict[str, DeclaredEmbedding]:
    """Embedding services by a name of their own, each once."""
    found = dict.fromkeys(
        assertion.similarity.embedding
        for case in cases
        for assertion in case.assertions
        if assertion.similarity
    )
    return {f"embedding-{number}": place for number, place in enumerate(found, 1)}


def _embedding(place: DeclaredEmbedding, peers: Iterable[LLMService]) -> Embedding:
    if place.url is not None:
        return Embedding(place.url.rstrip("/") + _EMBEDDINGS, place.model or "")
    assert place.service_ref is not None
    name = place.service_ref.name
    peer = next((one for one in peers if one.metadata.name == name), None)
    address = peer.status.addresses[0].url if peer and peer.status.addresses else f"http://{name}.invalid"
    model = next(iter((peer and peer.spec.model_names) or ()), name)
    return Embedding(f"{address}/v1{_EMBEDDINGS}", model)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
