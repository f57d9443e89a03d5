"""The real OpenAI SDKs for Python and for Node see the same, and what their users expect."""

from __future__ import annotations

from typing import Any

import pytest

from tests.router.sdk import answered, failing
from tests.router.sdk.behaviours import Behaviour
from tests.router.sdk.conftest import Perform
from tests.router.stack import Stack, configuration, eventually, service, variant

TABLE = [
    *answered.ANSWERS,
    *answered.STREAMS,
    *failing.ENGINE_REFUSALS,
    *failing.ROUTER_REFUSALS,
    *failing.BROKEN_ENGINES,
    *failing.BROKEN_STREAMS,
    *failing.CLIENTS_THAT_LEAVE,
    *failing.RETRIES,
]


@pytest.mark.parametrize("behaviour", TABLE, ids=lambda behaviour: behaviour.name)
async def test_an_sdk_sees(stack: Stack, sdk: str, perform: Perform, behaviour: Behaviour) -> None:
    engine = await stack.engine(*behaviour.engine)
    if behaviour.configure:
        await stack.start(behaviour.configure(engine))
    else:
        await stack.start(configuration(service("chat", variant("v", engine)), **behaviour.settings))
    outcome = await perform(behaviour.call, stack.port)

    outcome["text"] = "".join(_text(item) for item in outcome.get("items", ()))
    sees = behaviour.sees if sdk == "python" else behaviour.sees_in_node or behaviour.sees
    for path, wanted in sees.items():
        found = at(outcome, path)
        assert isinstance(found, wanted) if isinstance(wanted, type) else found == wanted, (path, outcome)
    for path, wanted in behaviour.engine_got.items():
        assert at(engine.requests[0].document, path) == wanted, path
    for request in engine.requests:
        assert request.field("authorization") is None, "a client's key is none of the engine's business"
    if behaviour.engine_left:
        await eventually(lambda: engine.left == 1, 1.0)


def at(document: Any, path: str) -> Any:
    """What stands at a dotted path; None where nothing does."""
    for name in path.split("."):
        try:
            document = document[int(name) if isinstance(document, list) else name]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def _text(item: dict[str, Any]) -> str:
    return "".join((choice["delta"].get("content") or "") for choice in item.get("choices") or ())
