"""What users do and what clusters do to them, as a table: where it begins, what happens, how it ends.

Each is run without a fault once; that run is what all others of the scenario are compared with. `ends` says
besides what must be so then, since a defect that is always there would otherwise agree with itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.simulation.faults import acts
from tests.simulation.faults.acts import REST, delete, fails, serve, stand_in, until, wait
from tests.simulation.faults.beginnings import (
    BAD,
    FOREIGN,
    FOUND,
    GPU,
    HUGE,
    HUGE_CHANGE,
    NEW,
    NEWER,
    OTHER,
    PORTS,
    RECREATE,
    REMOTE,
    SMALL,
    TLS,
    WRONG,
)
from tests.simulation.faults.canaries import CANARIES
from tests.simulation.faults.scenario import BACK, READY
from tests.simulation.faults.scenario import row as _row
from tests.simulation.faults.trials import TRIALS
from tests.simulation.stories import CHAT, edited

SERVES = "a service that serves"
NOTHING = "an empty namespace"
_STUCK = {("LLMService/chat", "Available"): "True", ("LLMService/chat", "Ready"): "False"}
_IDLE = {("LLMService/chat", "Ready"): "True/Idle"}
CHANGES = (
    _row("a service is created", NOTHING, serve(CHAT)),
    _row("a change comes in by Surge", SERVES, serve(NEW), revert=BACK),
    _row(
        "a change comes in by Recreate",
        "a service that gives way (Recreate)",
        serve({**RECREATE, "engine": {"maxModelLen": 1024}}),
        served=False,
        revert=serve(RECREATE),
    ),
    _row("a change is reverted while it gathers capacity", SERVES, serve(NEW), until("Capacity"), BACK),
    _row("a change is reverted while it takes the traffic", SERVES, serve(NEW), until("Traffic"), BACK),
    _row(
        "a Recreate is reverted while the old revision drains",
        "a service that gives way (Recreate)",
        serve({**RECREATE, "engine": {"maxModelLen": 1024}}),
        until("Draining"),
        serve(RECREATE),
        served=False,
    ),
    _row(
        "a second change overtakes the first",
        SERVES,
        serve(NEW),
        until("Capacity"),
        serve(NEWER),
        revert=BACK,
    ),
    _row(
        "a second change comes while the first takes the traffic",
        SERVES,
        serve(NEW),
        until("Traffic"),
        serve(NEWER),
    ),
    _row("a service is scaled up", SERVES, serve(edited(replicas=3)), revert=BACK),
    _row("a service is scaled to zero", SERVES, serve(edited(replicas=0)), ends=_IDLE, served=False),
    _row("a service comes back from zero", "a service scaled to zero", serve(CHAT), served=False),
    _row(
        "a service is renamed for its clients",
        SERVES,
        serve(edited(modelNames=["chat", "talk"])),
        revert=BACK,
    ),
    _row(
        "a change is paused, and let go",
        SERVES,
        serve({**NEW, "paused": True}),
        REST,
        serve(NEW),
        revert=BACK,
    ),
)

TROUBLES = (
    _row(
        "the model is missing, then there",
        SERVES,
        serve({"modelRef": {"name": "late"}}),
        REST,
        acts.apply("LLMModel", "late", OTHER),
        revert=BACK,
    ),
    _row(
        "a model is edited",
        "a service of a shared model",
        acts.apply("LLMModel", "small", OTHER),
        revert=acts.apply("LLMModel", "small", SMALL),
    ),
    _row(
        "a service switches to another model",
        "a service of a shared model",
        acts.apply("LLMModel", "other", OTHER),
        serve({"modelRef": {"name": "other"}}),
    ),
    _row(
        "capacity is short, then free",
        "a service on the only accelerator",
        serve({**GPU, "engine": {"maxModelLen": 1024}}),
        REST,
        stand_in("a second accelerator is free", accelerators=2),
        revert=serve(GPU),
    ),
    _row(
        "capacity is short, and the user gives up the old revision",
        "a service on the only accelerator",
        serve({**GPU, "engine": {"maxModelLen": 1024}}),
        REST,
        serve({**RECREATE, "engine": {"maxModelLen": 1024}}),
        served=False,
    ),
    _row(
        "a model that can't fit is refused, then started all the same",
        SERVES,
        serve(HUGE),
        REST,
        serve({**HUGE, "hardware": {**HUGE["hardware"], "fit": "Advisory"}}),
        ends={**READY, ("LLMService/chat", "ModelFits"): "False/FitOverridden"},
        revert=BACK,
    ),
    _row(
        "a model that can't fit is refused",
        SERVES,
        serve(HUGE),
        ends={**_STUCK, ("LLMService/chat", "Stalled"): "True/ModelDoesNotFit"},
        revert=BACK,
    ),
    _row(
        "a model that can't fit is refused before the old one drains",
        "a service that gives way (Recreate)",
        serve(HUGE_CHANGE),
        ends={**_STUCK, ("LLMService/chat", "Stalled"): "True/ModelDoesNotFit"},
    ),
    _row(
        "a revision answers wrongly",
        SERVES,
        fails(NEW, WRONG),
        serve(NEW),
        ends=_STUCK,
        revert=BACK,
    ),
    _row("a revision that answers wrongly is taken back", SERVES, fails(NEW, WRONG), serve(NEW), REST, BACK),
    _row(
        "a revision crashes until its engine is mended",
        "a service with a revision that crashes",
        fails(BAD, None),
    ),
    _row("a revision crashes until its spec is mended", "a service with a revision that crashes", serve(NEW)),
    _row(
        "a remote model is resolved",
        NOTHING,
        serve(REMOTE),
    ),
    _row(
        "a remote model can't be found, then can",
        SERVES,
        stand_in(
            "the hub doesn't know it", hub={"reason": "WeightsNotFound", "message": "no such repository"}
        ),
        serve(REMOTE),
        REST,
        stand_in("the hub knows it", hub=FOUND),
        wait(150.0),
        revert=BACK,
    ),
    _row(
        "routers are deaf for a while",
        SERVES,
        stand_in("routers take no configuration", deaf=True),
        serve(NEW),
        REST,
        stand_in("routers listen again", deaf=False),
    ),
    _row(
        "a certificate is missing, then there",
        "a service behind a declared router",
        stand_in("there is no certificate", certified=False),
        acts.apply("LLMRouter", "front", TLS),
        REST,
        stand_in("the certificate is there", certified=True),
        served=False,
    ),
    _row(
        "somebody else's object is in the way, then gone",
        NOTHING,
        acts.create(FOREIGN),
        serve(CHAT),
        REST,
        delete("Service", "chat-engine"),
        wait(30.0),
        served=False,
    ),
)

OTHERS = (
    _row(
        "a second service comes to the router",
        SERVES,
        serve(CHAT, "second"),
        ends={**READY, ("LLMService/second", "Ready"): "True"},
    ),
    _row(
        "one of two services is deleted",
        "two services on one router",
        delete("LLMService", "second"),
    ),
    _row(
        "two services change at once",
        "two services on one router",
        serve(NEW),
        serve(NEW, "second"),
        ends={**READY, ("LLMService/second", "Ready"): "True"},
    ),
    _row(
        "a name is claimed twice, and set free",
        "two services on one router",
        serve(edited(modelNames=["chat"]), "second"),
        REST,
        delete("LLMService", "chat"),
        ends={("LLMService/second", "Ready"): "True"},
        served=False,
    ),
    _row(
        "an older service claims the name of a younger one",
        "two services on one router",
        serve(edited(modelNames=["chat", "second"])),
        ends={**READY, ("LLMService/second", "Ready"): "False/ModelNameConflict"},
    ),
    _row(
        "a service goes and comes again",
        SERVES,
        delete("LLMService", "chat"),
        REST,
        serve(CHAT),
        served=False,
    ),
    _row(
        "the router on demand is declared by a user",
        SERVES,
        acts.apply("LLMRouter", "default", {"replicas": 3}),
        ends={**READY, ("LLMRouter/default", "Ready"): "True/RouterReady"},
    ),
    _row(
        "a service moves to another router",
        SERVES,
        acts.apply("LLMRouter", "front", {"replicas": 1}),
        REST,
        serve(edited(routerRef={"name": "front"})),
        revert=BACK,
        served=False,
    ),
    _row(
        "a service moves to a router that comes later",
        SERVES,
        serve(edited(routerRef={"name": "front"})),
        REST,
        acts.apply("LLMRouter", "front", {"replicas": 1}),
        served=False,
    ),
    _row(
        "all of a namespace is deleted at once",
        "two services on one router",
        delete("LLMService", "chat"),
        delete("LLMService", "second"),
        delete("LLMRouter", "default"),
        ends={},
        served=False,
    ),
)

HANDS = (
    _row(
        "the operator is upgraded", SERVES, acts.upgrade("next", router_image="pointsman.local/router:next")
    ),
    _row(
        "the operator is upgraded in the middle of a change",
        SERVES,
        serve(NEW),
        until("Capacity"),
        acts.upgrade("next", router_image="pointsman.local/router:next"),
    ),
    _row("a revision's record is lost", SERVES, acts.remove_engine("ControllerRevision")),
    _row("a service's status is lost", SERVES, acts.lose_status("LLMService", "chat")),
    _row(
        "a service's status is lost in the middle of a change",
        SERVES,
        serve(NEW),
        until("Capacity"),
        wait(1.5),
        acts.lose_status("LLMService", "chat"),
    ),
    _row("a Deployment is deleted by hand", SERVES, acts.remove_engine("Deployment"), served=False),
    _row(
        "a Deployment is scaled by hand",
        SERVES,
        acts.edit_engine("Deployment", {"spec": {"replicas": 7}}),
    ),
    _row(
        "labels are taken off a Deployment by hand",
        SERVES,
        acts.edit_engine("Deployment", {"metadata": {"labels": None}}),
        wait(900.0),
    ),
    _row("a Service is deleted by hand", SERVES, delete("Service", "default-router")),
    _row(
        "a port is renumbered by hand",
        SERVES,
        acts.edit("Service", "default-router", {"spec": {"ports": PORTS}}),
    ),
    _row(
        "the routers' configuration is deleted by hand",
        SERVES,
        delete("ConfigMap", "default-router"),
        served=False,
    ),
    _row(
        "the finalizer is taken by hand",
        SERVES,
        acts.edit("LLMService", "chat", {"metadata": {"finalizers": None}}),
    ),
)

GONE: Mapping[tuple[str, str], str] = {("LLMService/chat", "Ready"): "-"}
DELETIONS = tuple(
    _row(
        f"a service is deleted {when}", given, *before, delete("LLMService", "chat"), ends=GONE, served=False
    )
    for when, given, before in (
        ("at rest", SERVES, ()),
        ("before its first engine is ready", NOTHING, (serve(CHAT), until("Starting"))),
        ("while a change gathers capacity", SERVES, (serve(NEW), until("Capacity"), wait(0.5))),
        ("while a change takes the traffic", SERVES, (serve(NEW), until("Traffic"))),
        (
            "while the old revision drains",
            "a service that gives way (Recreate)",
            (serve({**RECREATE, "engine": {"maxModelLen": 1024}}), until("Draining")),
        ),
        ("while it is paused", "a paused service", ()),
        ("while it crashes", "a service with a revision that crashes", ()),
        (
            "while its model is resolved",
            NOTHING,
            (stand_in("the hub is slow", hub=None), serve(REMOTE), wait(5.0)),
        ),
        (
            "while routers are deaf",
            SERVES,
            (stand_in("routers take no configuration", deaf=True),),
        ),
    )
)

SCENARIOS = {s.name: s for s in (*CHANGES, *TRIALS, *CANARIES, *TROUBLES, *OTHERS, *HANDS, *DELETIONS)}
