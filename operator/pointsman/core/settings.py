"""What the people who run the operator decide for all services: images, mirrors, budgets.

Values only. `app.settings` reads them from the environment; decisions take them as part of the World, so
that a recorded World replays the same wherever it is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CPU = "cpu"
"""Key of the engine image for services that ask for no accelerator."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Operator-wide settings that decisions depend on."""

    router_image: str
    resolve_image: str
    """Image of the resolve Job: the operator's own, which carries the hub client."""
    engine_images: Mapping[str, str] = field(default_factory=dict)
    """Engine image by accelerator resource (`cpu` for none); `{version}` in it is the engine's version."""
    engine_version: str = "0.1.0"
    """Fills `{version}` when a service names no `engine.version`."""
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets, in each serving namespace, with which nodes pull the images of everything rendered."""
    hf_endpoint: str = ""
    """Address of a mirror of the Hugging Face hub; empty for the hub itself."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Proxy variables (HTTPS_PROXY, NO_PROXY …) for pods that fetch weights."""
    ca_config_map: str = ""
    """ConfigMap, in each serving namespace, whose `ca.crt` such pods trust in addition; empty for none."""
    startup_seconds: int = 3600
    """How long an engine may take from its first second to ready before it is restarted."""
    operator_namespace: str = "pointsman-system"
    """Where the operator runs: only from there may routers' admin ports be reached."""
    operator_version: str = ""
    capacity_discovery: bool = False
    """Whether nodes and their pods may be looked at, to say how much is free while pods find no place."""
