"""A recorded World gives the same decision elsewhere, and holds nothing that a person would not show."""

from __future__ import annotations

import json
from typing import Any

from pointsman.api import sealing
from pointsman.api.kinds import KINDS
from pointsman.app import debug_difference, debug_record
from tests.simulation.worlds import SECRET, worlds

Json = dict[str, Any]
WORLDS = {
    "LLMService": "ServiceWorld",
    "LLMRouter": "RouterWorld",
    "LLMModel": "ModelWorld",
    "PromptVersion": "PromptWorld",
    "PromptSuite": "SuiteWorld",
}


def kind_of(seen: Any) -> str:
    return next(row.resource.kind for row in KINDS if type(seen.world).__name__ == WORLDS[row.resource.kind])


def written(seen: Any) -> Json:
    """The World as a file has it, nothing sealed."""
    document: Json = json.loads(json.dumps(debug_record.dump_world(seen.world)))
    return document


def decided(seen: Any, document: Json) -> Json:
    return debug_record.decide(debug_record.load_world(kind_of(seen), document))


def differing(before: Any, after: Any) -> list[str]:
    return list(debug_difference.between(before, after))


def test_a_world_that_was_written_and_read_again_gives_the_same_decision() -> None:
    for seen in worlds():
        assert differing(debug_record.dump_decision(seen.decision), decided(seen, written(seen))) == []


def test_sealing_and_deciding_may_change_places() -> None:
    for seen in worlds():
        sealed_first = decided(seen, sealing.seal(written(seen)))
        assert differing(sealing.seal(debug_record.dump_decision(seen.decision)), sealed_first) == []


def test_a_file_holds_no_secret_and_no_prompt() -> None:
    for seen in worlds():
        file = debug_record.recorded(seen.world, seen.decision)
        text = json.dumps(file)
        assert SECRET not in text, text[text.index(SECRET) - 200 :][:300]
        assert file["notes"] == []


def test_the_stories_hold_secrets_in_every_place() -> None:
    plain = json.dumps([debug_record.dump_world(seen.world) for seen in worlds()])
    for place in (f'"PASSWORD": "{SECRET}"', f"me:{SECRET}@", f"{SECRET}.mirror", f"Where is {SECRET}"):
        assert place in plain, place
    assert "WrongAnswers" in plain
    assert {kind_of(seen) for seen in worlds()} == set(WORLDS)
    assert any(getattr(seen.world, "challenger", None) for seen in worlds())
