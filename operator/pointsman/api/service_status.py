"""What the operator reports about an LLMService.

Everything here can be found out again, so losing it loses no intent; only `rollout`, `experiment` and
`proof` hold what can't be observed, and they are written before what they lead to.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from pointsman.api.checks import MOST_CHECKS, CheckName
from pointsman.api.common import Addresses, Base, Conditions, Count, Decimal, Generation, Int, Text, Timestamp
from pointsman.api.experiment_status import ExperimentStatus
from pointsman.api.rollout import MOST_GATES, MOST_STEPS, Metric, Statistic, VariantName
from pointsman.api.schema import ListAtomic, ListMap

RevisionName = Annotated[str, Field(max_length=63)]
RouterName = Annotated[str, Field(max_length=253)]


REJECTIONS_KEPT = 10
"""How many rejected variants status holds."""
STARTS_KEPT = 3
"""How many measured starts status holds."""

Bytes = Annotated[Int, Field(ge=0, json_schema_extra={"format": "int64"})]


class Step(StrEnum):
    """How far a rollout is. Each step is left only when what it waits for was observed."""

    STARTING = "Starting"
    CAPACITY = "Capacity"
    TRIAL = "Trial"
    CANARY = "Canary"
    TRAFFIC = "Traffic"
    BAKING = "Baking"
    DRAINING = "Draining"
    STEADY = "Steady"


class EngineStatus(Base):
    """What the operator resolved for the newest revision when it was born."""

    image: Annotated[str, Field(max_length=512)] | None = None
    """Image that its engines run."""
    commit: Annotated[str, Field(max_length=64)] | None = None
    """Commit of the model's repository, for hf:// sources."""
    arguments: Annotated[
        tuple[Annotated[str, Field(max_length=4352)], ...], Field(max_length=128), ListAtomic()
    ] = ()
    """Arguments that its engines were given."""


class Traffic(Base):
    """A variant's share of requests."""

    revision: VariantName
    """Name of the variant: the engine revision's, followed by the prompt's where there is one."""
    weight: Annotated[Int, Field(ge=0, le=100)]
    """Percent of requests; all variants together have 100."""
    shadow: Annotated[Int, Field(ge=0, le=100)] | None = None
    """Percent of requests that are copied to it."""


class Rejection(Base):
    """A variant that was not taken."""

    variant: VariantName
    """Name of the variant."""
    reason: Annotated[str, Field(max_length=64)]
    """CanaryRejected or RolloutAborted."""
    message: Text = ""
    """Why: the gate, what it found, what's allowed, and of how many samples."""
    at: Timestamp
    """When it was rejected."""


class Found(StrEnum):
    """What a gate has found so far."""

    PASS = "Pass"
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"


class GateStatus(Base):
    """What one gate has found so far."""

    metric: Metric
    """What it compares."""
    statistic: Statistic | None = None
    """Which number stands for many values; none for rates."""
    verdict: Found
    """What follows from it. All gates have to pass; one that fails rejects."""
    stable: Decimal | None = None
    """The stable variant's own value in this step: of rates a part, of times seconds (those of streams, where
    there are any to compare), of lengths tokens."""
    candidate: Decimal | None = None
    """The candidate's own value."""
    estimate: Decimal | None = None
    """Of rates the candidate's less the stable one's, of anything else their ratio; over all steps so far. Of
    times, that of streams and that of whole answers put together."""
    low: Decimal | None = None
    """Lower bound of the estimate, valid at every look at once."""
    high: Decimal | None = None
    """Upper bound of the estimate."""
    allowed: Decimal | None = None
    """Beyond this it's rejected, once that is certain."""
    limit: Decimal | None = None
    """When this is ruled out it passes."""
    stable_samples: Count = 0
    """Values of the stable variant in this step."""
    candidate_samples: Count = 0
    """Values of the candidate."""
    message: Text = ""
    """The same in one sentence."""


class AnalysisStatus(Base):
    """What the comparison has found so far; rewritten at each look."""

    window: Annotated[str, Field(max_length=160)]
    """What routers count under: the candidate and the step's index. A new window starts from zero."""
    step: Step
    """The step it belongs to."""
    started_at: Timestamp
    """When every router had acknowledged the step: its time counts from here."""
    observed_at: Timestamp | None = None
    """When the last look was; none before the first."""
    looks: Count = 0
    """How many looks there were in this step."""
    stable_samples: Count = 0
    """Requests that the stable variant answered in this step."""
    candidate_samples: Count = 0
    """Requests that the candidate answered, copies among them."""
    set_aside: Count = 0
    """Requests of the warm-up, whose times don't count."""
    gates: Annotated[tuple[GateStatus, ...], Field(max_length=MOST_GATES), ListAtomic()] = ()
    """What each gate has found."""
    memory: Annotated[str, Field(max_length=32_768)] | None = None
    """What the comparison keeps between looks. Not for reading."""


class TrialStatus(Base):
    """What the last trial of a candidate found."""

    variant: VariantName
    """The candidate that was tried."""
    name: Annotated[str, Field(max_length=63)]
    """Name of the Job, by which a trial by other questions is told from this one."""
    verdict: Found
    """Pass: it may have traffic. Fail: it was rejected."""
    message: Text = ""
    """Why the trial failed."""
    cases: Count | None = None
    """How many cases it was asked."""
    failed: Count | None = None
    """How many of them failed."""
    prompts: Count | None = None
    """How many prompts it was asked that the stable variant was asked too."""
    agreed: Count | None = None
    """How many of them both answered alike."""
    divergence: Text | None = None
    """Where their answers first part."""


class CheckStatus(Base):
    """What a check said last of a candidate."""

    name: CheckName
    """Which of rollout.checks."""
    variant: VariantName
    """The candidate that it was asked about."""
    step: Step
    """The step that it was asked in."""
    step_index: Annotated[Int, Field(ge=0, le=MOST_STEPS)] = 0
    """Which of rollout.steps that was, counted from 0."""
    verdict: Found
    """Pass: the step may go on. Fail: the candidate was rejected. Inconclusive: it comes to no verdict."""
    message: Text = ""
    """What it said, or what keeps it from a verdict."""
    at: Timestamp
    """When it said so; of no verdict, since when."""
    job: Annotated[str, Field(max_length=63)]
    """Name of the Job, by which a verdict about another step or candidate is told from this one."""


class RolloutStatus(Base):
    """How far the change from one variant to the next is. A variant is an engine revision and the prompt that
    it answers by."""

    stable: VariantName | None = None
    """Variant that serves, or served last."""
    candidate: VariantName | None = None
    """Variant that is to take its place."""
    previous: VariantName | None = None
    """Variant of the same engines that served before the stable one: the way back to it has no steps."""
    step: Step | None = None
    """Starting: the candidate is being resolved. Capacity: its engines come up. Trial: it is tried before any
    traffic. Canary: it has the weight of a step, and is compared. Traffic: routers take it over. Baking: it
    has all traffic, and the old one stays ready. Draining: the old revision finishes its requests. Steady:
    no change is on its way."""
    step_index: Annotated[Int, Field(ge=0, le=MOST_STEPS)] = 0
    """Which of rollout.steps it is at, or gathers capacity for, counted from 0."""
    step_started_at: Timestamp | None = None
    """When the step began."""
    generation: Generation = 0
    """The metadata.generation that the traffic was decided for."""
    router: RouterName | None = None
    """LLMRouter that has the service: the one that spec names, or the former one while that doesn't exist."""
    traffic: Annotated[tuple[Traffic, ...], Field(max_length=4), ListMap("revision")] = ()
    """How requests are divided."""
    candidate_weight: Annotated[Int, Field(ge=0, le=100)] | None = None
    """The candidate's percent of requests; none without a candidate."""
    failed: Annotated[tuple[VariantName, ...], Field(max_length=REJECTIONS_KEPT), ListAtomic()] = ()
    """Variants that were rejected, the newest first. None of them is tried again."""
    rejections: Annotated[tuple[Rejection, ...], Field(max_length=REJECTIONS_KEPT), ListAtomic()] = ()
    """Why, the newest first."""
    trial: TrialStatus | None = None
    """What the last trial of a candidate found, before any traffic."""
    checks: Annotated[tuple[CheckStatus, ...], Field(max_length=MOST_CHECKS), ListMap("name")] = ()
    """What each of rollout.checks said last."""
    analysis: AnalysisStatus | None = None
    """What the comparison of candidate and stable has found so far."""


class ProofStatus(Base):
    """The request through the router that proved a generation; kept until what it depends on changes."""

    generation: Generation
    """The metadata.generation that answered."""
    hash: Annotated[str, Field(max_length=64)]
    """Hash of the service's router configuration that answered."""
    variant: VariantName
    """Variant that answered."""
    kind: Annotated[str, Field(max_length=32)]
    """What was asked: chat, completion, embedding, score or transcription."""


class StartupRecord(Base):
    """How long the slowest engine of a revision took to start, in seconds: measured once, when all of them
    were ready for the first time."""

    revision: RevisionName
    """Name of the revision."""
    scheduling: Count | None = None
    """From the pod's creation until it had a node."""
    image: Count | None = None
    """From then until the container started: volumes and the image."""
    preflight: Count | None = None
    """Checking arguments, devices and files, and importing the engine."""
    weights: Count | None = None
    """Fetching the weights, where the source is remote."""
    load: Count | None = None
    """Loading the weights and setting up the engine, without compiling."""
    compile: Count | None = None
    """Compiling and capturing graphs, by the engine's own account."""
    first_token: Count | None = None
    """From the engine's own readiness to its first token."""
    proof: Count | None = None
    """Asking what the model must know."""
    total: Count
    """From the pod's creation to ready; starts that failed before aren't in it."""
    weight_bytes: Bytes | None = None
    """Size of the weights that were loaded."""


class LoadingStatus(Base):
    """How far the slowest engine is that isn't ready; rewritten at most every 10 s, and gone once all are. It
    stays as it was while no engine of the revision says anything."""

    revision: RevisionName
    """Revision whose engines start."""
    stage: Annotated[str, Field(max_length=32)]
    """What the engine does: Preflight, Downloading, Loading, Proving, Failed; Pending: some are ready, and
    the others say nothing."""
    bytes_loaded: Bytes | None = None
    """Bytes of weights that were fetched (Downloading) or read (from then on)."""
    bytes_total: Bytes | None = None
    """How many there are."""
    bytes_per_second: Bytes | None = None
    """How fast it went since this was last written."""
    observed_at: Timestamp
    """When this was seen."""


class ServiceStatus(Base):
    """What is so, and why."""

    observed_generation: Generation = 0
    """The metadata.generation that this status is for; when the object's own is larger, it is out of date."""
    conditions: Conditions = ()
    """What is so, and why; see docs/conditions.md. Ready is the one to wait for."""
    model: Annotated[str, Field(max_length=512)] | None = None
    """URI of the model that is served."""
    replicas: Count = 0
    """Engine pods there are, of every revision."""
    ready_replicas: Count = 0
    """Engine pods that take requests, of every revision."""
    selector: Annotated[str, Field(max_length=512)] | None = None
    """Label selector of the engine pods, for autoscalers."""
    addresses: Addresses = ()
    """Where to point a client."""
    engine: EngineStatus | None = None
    """What was resolved for the newest revision."""
    rollout: RolloutStatus | None = None
    """How far a change is."""
    experiment: ExperimentStatus | None = None
    """How far spec.experiment is, and what it recommends."""
    proof: ProofStatus | None = None
    """The last request that proved a generation."""
    startup: Annotated[tuple[StartupRecord, ...], Field(max_length=STARTS_KEPT), ListMap("revision")] = ()
    """How long engines took to start, by revision, the newest first."""
    loading: LoadingStatus | None = None
    """How far engines are that start now."""
    cut_requests: Count | None = None
    """Requests that engines on their way out had to cut because drainSeconds were over, as counted by the
    routers that run now."""
