"""What a case of the table of refusals is made of."""

from __future__ import annotations

from dataclasses import dataclass

from pointsman.api.names import LLMSERVICE, Resource
from tests.contract.manifests import MINIMAL, Json, changed, manifest


@dataclass(frozen=True, slots=True)
class Case:
    """One change to a minimal object, and what the server must say."""

    where: str
    value: object
    says: str
    """The server's message, from the field's path on."""
    resource: Resource = LLMSERVICE
    name: str = "chat"
    schema_alone: bool = False
    """Refused by what only the server looks at: unknown fields."""

    def manifest(self) -> Json:
        return manifest(self.resource, changed(MINIMAL[self.resource], self.where, self.value), self.name)
