"""Short ways to the values that the core's tests are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.api.model import LLMModel
from pointsman.api.router import LLMRouter
from pointsman.api.service import LLMService
from pointsman.core.settings import Settings

TINY = {"source": {"uri": "file:///models/tiny"}}

SETTINGS = Settings(
    router_image="registry.test/router:1",
    resolve_image="registry.test/operator:1",
    engine_images={"cpu": "registry.test/cpu:{version}", "nvidia.com/gpu": "registry.test/gpu:{version}"},
    engine_version="9",
)


def service(name: str = "chat", created: str = "2026-01-01T00:00:00Z", **spec: Any) -> LLMService:
    """An LLMService as the API server would return it; `spec` in wire form, the tiny model by default."""
    body = spec if "model" in spec or "modelRef" in spec else {"model": TINY, **spec}
    return LLMService.model_validate({"metadata": metadata(name, created), "spec": body})


def router(name: str = "default", **spec: Any) -> LLMRouter:
    """An LLMRouter."""
    return LLMRouter.model_validate({"metadata": metadata(name), "spec": spec})


def model(name: str = "small", **spec: Any) -> LLMModel:
    """An LLMModel."""
    return LLMModel.model_validate({"metadata": metadata(name), "spec": spec or TINY})


def metadata(name: str, created: str = "2026-01-01T00:00:00Z") -> Mapping[str, Any]:
    """Metadata of an object that was stored."""
    return {
        "name": name,
        "namespace": "team-a",
        "uid": f"uid-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": created,
    }
