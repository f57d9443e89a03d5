"""A service's copies of prompts: which is to be made, and which stay."""

from __future__ import annotations

from pointsman.api import names
from pointsman.core import experiment, prompting, rollout, service_children
from pointsman.core.facts import Facts
from pointsman.core.world import Manifest, ObjectKey


def made(facts: Facts) -> list[Manifest]:
    """The copy of a prompt that the spec has come to ask for. It's made before the prompt is a candidate or a
    challenger, so that no router is told of one that nobody could give it again."""
    prompt, service = facts.uncopied or experiment.uncopied(facts), facts.world.service
    if prompt is None or not facts.target:
        return []
    copy = prompting.copied(prompt.metadata.name, prompt.spec, facts.copies)
    version = facts.world.settings.operator_version
    manifest = prompting.manifest(service.metadata.name, copy, version)
    return [service_children.controller_revision(service.metadata, manifest, names.ROLE_PROMPT)]


def retained(facts: Facts, after: rollout.State) -> set[ObjectKey]:
    """Those that something may still answer by, and the newest of the others."""
    variants = {facts.wanted, experiment.rival(facts)}
    for state in (facts.state, after):
        variants |= {state.stable, state.candidate, *(share.variant for share in state.traffic)}
    in_use = frozenset(variant.digest for variant in variants if variant is not None and variant.digest)
    forgotten = prompting.expired(facts.copies, in_use)
    return {
        (names.CONTROLLERREVISION.kind, child["metadata"]["name"])
        for child in facts.world.frozen(names.ROLE_PROMPT)
        if child["metadata"]["name"].rpartition("-")[2] not in forgotten
    }
