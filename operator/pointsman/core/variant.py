"""What a share of the traffic belongs to: an engine revision together with the prompt it answers by.

A variant's name is what status, routers, metrics and signals call it. Everything before its first dot is the
engine revision, so pods can be found from a name alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pointsman.api.service_status import Step


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to answer for a service."""

    revision: str
    """The engine revision's name: the one of its Deployment."""
    prompt: str = ""
    """Name of the PromptVersion; empty without one."""
    digest: str = ""
    """Eight hex digits over that prompt's content."""

    @property
    def name(self) -> str:
        """The engine revision's name, followed by the prompt's name and digest where there is one."""
        return ".".join(part for part in (self.revision, self.prompt, self.digest) if part)

    @classmethod
    def parse(cls, name: str) -> Variant:
        """The variant of a name. Total, since names come out of statuses and routers."""
        revision, _, prompted = name.partition(".")
        prompt, dot, digest = prompted.rpartition(".")
        return cls(revision, prompt, digest) if dot else cls(revision, prompted)


@dataclass(frozen=True, slots=True)
class Share:
    """A variant's part of the requests."""

    variant: Variant
    weight: int
    """Percent of the requests that it answers. Routers know a variant of weight 0, and never pick it."""
    shadow: int = 0
    """Percent of the requests that are copied to it, its answers discarded."""


@dataclass(frozen=True, slots=True)
class Division:
    """How requests are divided, by what they are drawn, and whether their answers are measured."""

    shares: tuple[Share, ...] = ()
    salt: str = ""
    """The candidate or challenger, where some requests are drawn for it; empty: nothing is drawn."""
    window: str = ""
    """What routers count under; empty: they count nothing."""


MEASURED = frozenset({Step.CANARY, Step.BAKING})
"""Steps in which answers are measured."""


def division(
    shares: Iterable[Share], candidate: Variant | None, step: Step, index: int, experiment: str = ""
) -> Division:
    """What routers are told of a rollout. A window is one step's, so weights are the same all through it.
    `experiment`: the window of one that goes on beside the stable variant."""
    given, name = tuple(shares), candidate.name if candidate else ""
    if experiment and candidate is None:
        return Division(given, experiment.rpartition("/")[0], experiment)
    drawn = any(0 < share.weight < 100 for share in given)
    window = f"{name}/{index}" if name and step in MEASURED else ""
    return Division(given, name if drawn else "", window)


def revisions(variants: Iterable[Variant | None]) -> tuple[str, ...]:
    """The engine revisions of some variants, each once, in their order."""
    return tuple(dict.fromkeys(variant.revision for variant in variants if variant is not None))
