"""The decision about one PromptSuite: no children, and a status that says whether it can be asked."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pointsman.api.conditions import ConditionType, Reason
from pointsman.api.prompt_suite import SuiteSpec
from pointsman.core import conditions, prompting
from pointsman.core.conditions import Verdict
from pointsman.core.decision import Decision
from pointsman.core.world import SuiteWorld


def decide(world: SuiteWorld) -> Decision:
    """The status to write."""
    suite = world.suite
    generation = suite.metadata.generation
    merged = conditions.merge(
        suite.status.conditions, _verdicts(suite.spec), generation=generation, now=world.now
    )
    family = suite.spec.family
    prompts = [p for p in world.prompts if family in (None, p.spec.family)]
    status = {
        "observedGeneration": generation,
        "conditions": merged,
        "digest": prompting.digest(suite.spec),
        "cases": len(suite.spec.cases),
        "prompts": len(prompts),
    }
    return Decision(status=status, because=f"{len(suite.spec.cases)} cases for {len(prompts)} prompts")


def unreadable(spec: SuiteSpec) -> str:
    """What keeps a suite from being asked that no schema can tell, by its field; empty: nothing."""
    for case in spec.cases:
        for number, assertion in enumerate(case.assertions):
            if assertion.json_schema is not None and not _is_object(assertion.json_schema):
                where = f"spec.cases[{case.name}].assertions[{number}].jsonSchema"
                return f"{where} must be a JSON schema, written as a JSON object"
    return ""


def _verdicts(spec: SuiteSpec) -> Iterator[Verdict]:
    wrong = unreadable(spec)
    if not wrong:
        yield Verdict(ConditionType.READY, True, Reason.ACCEPTED)
        return
    yield Verdict(ConditionType.READY, False, Reason.INVALID_SPEC, wrong)
    yield Verdict(ConditionType.STALLED, True, Reason.INVALID_SPEC, wrong)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
