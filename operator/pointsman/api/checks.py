"""A rollout's checks: what decides about a candidate besides the gates, a webhook or a Job of the user's own.

A small typed part of what a Job can say, so that its pod is always a restricted one. Nothing here knows when
a check is asked, or what it is told.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from pointsman.api.common import Base, ImageName, Int, LocalRef, ObjectName
from pointsman.api.hardware import Resources
from pointsman.api.schema import ListAtomic, Matches, Rule, keys_avoid, keys_match

MOST_CHECKS: Final = 8
DAY: Final = 86_400
TOKEN_KEY: Final = "token"

CheckName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Matches(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        "must be lower-case letters, digits and '-', alphanumeric at both ends",
    ),
]


class Accept(StrEnum):
    """How a webhook says yes."""

    VERDICT = "Verdict"
    STATUS = "Status"


class SecretKey(LocalRef):
    """One key of a Secret of the same namespace. The pod mounts it; the operator never reads it."""

    key: (
        Annotated[
            str,
            Field(min_length=1, max_length=253),
            Matches(r"[-._a-zA-Z0-9]+", "must be a key of a Secret: letters, digits, '-', '_' and '.'"),
        ]
        | None
    ) = None
    """The key. Unset: token."""


class Webhook(Base):
    """A service of the user's own that is asked by a POST of JSON."""

    url: Annotated[
        str,
        Field(min_length=1, max_length=1024),
        Matches(
            r"https?://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?([/?][-A-Za-z0-9_.~/%&=+:,;?]*)?",
            "must be an http or https address without user and password, such as https://ci.example.com/gate",
        ),
    ]
    """Where the POST goes. A redirect isn't followed."""
    accept: Accept | None = None
    """What is a yes. Verdict: a 2xx with {"pass": true} in it. Status: any 2xx, as webhooks of Flagger
    answer. A 5xx, a 429 and no answer are neither yes nor no; any other answer is a no. Unset: Verdict."""
    token_secret_ref: SecretKey | None = None
    """Secret with the bearer token that it wants."""
    timeout_seconds: Annotated[Int, Field(ge=1, le=600)] | None = None
    """How many seconds it may take to answer. Unset: 30."""


class CheckJob(Base):
    """A Job that is run. Exit status 0 is a yes, another one a no; its termination message says why."""

    rules: ClassVar[tuple[Rule, ...]] = (
        keys_match(
            "env",
            r"[A-Za-z_][A-Za-z0-9_]*",
            "each name in job.env must be letters, digits and '_', not beginning with a digit",
        ),
        keys_avoid(
            "env", r"POINTSMAN_.*", "job.env must not set what begins with POINTSMAN_: that is what it's told"
        ),
    )

    image: ImageName
    """Image to run, as a user other than root and with a root file system that can only be read."""
    command: (
        Annotated[
            tuple[Annotated[str, Field(max_length=4096)], ...],
            Field(min_length=1, max_length=32),
            ListAtomic(),
        ]
        | None
    ) = None
    """Command to run. Unset: the image's own."""
    args: (
        Annotated[
            tuple[Annotated[str, Field(max_length=4096)], ...],
            Field(min_length=1, max_length=64),
            ListAtomic(),
        ]
        | None
    ) = None
    """Arguments of the command."""
    env: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] | None = None
    """Further environment variables. Never put secrets here: everyone who may read the object reads them."""
    token_secret_ref: SecretKey | None = None
    """Secret with a token that it needs; the file that POINTSMAN_TOKEN_FILE names holds it."""
    service_account_name: ObjectName | None = None
    """ServiceAccount that it runs as, whose token is mounted then. Unset: the namespace's default one, and no
    token."""
    resources: Resources | None = None
    """CPU, memory and ephemeral storage. Unset: 100m and 128Mi, at most 1Gi of memory and of storage."""
    timeout_seconds: Annotated[Int, Field(ge=10, le=DAY)] | None = None
    """How many seconds it may take, the pull of its image included. What takes longer has said nothing.
    Unset: 600."""


class Check(Base):
    """Somebody's own word about the candidate."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.webhook) != has(self.job)",
            holds=lambda it: (it.webhook is None) != (it.job is None),
            message="give exactly one of webhook and job",
        ),
    )

    name: CheckName
    """Name that conditions call it by."""
    webhook: Webhook | None = None
    """A service that is asked."""
    job: CheckJob | None = None
    """A Job that is run."""
