"""What a cause is: how it is brought about, how Kubernetes shows it, what our status must say, what mends it.

Times are counted from the sign: Kubernetes' own patience (a probe's, a back-off's) is Kubernetes' own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.causes import signs
from e2e.manifests import scripted
from e2e.namespace import Manifest, Namespace
from e2e.release import Release
from e2e.watching import Sign

SERVICE = "chat"
"""What every scene's LLMService is called."""
ENGINE = f"pointsman.dev/service={SERVICE},pointsman.dev/role=engine"


@dataclass(frozen=True, slots=True)
class Scene:
    """A namespace in which one cause is at work."""

    release: Release
    namespace: Namespace

    @property
    def image(self) -> str:
        """The scripted engine's image."""
        return self.release.image("scripted-engine")

    def service(self, **over: Any) -> Manifest:
        """The scene's LLMService: scripted engines and short drains, `over` laid upon that."""
        return scripted(SERVICE, self.image, **{"drainSeconds": 1, **over})

    def start(self, **over: Any) -> None:
        """Applies the scene's LLMService."""
        self.namespace.apply(self.service(**over))

    def edit(self, **spec: Any) -> None:
        """Edits the scene's LLMService."""
        self.namespace.patch(f"llmservice/{SERVICE}", {"spec": spec})

    def inside(self, script: str) -> None:
        """Runs a line of shell in the newest engine's container."""
        pods = [p for p in self.namespace.items("pods", ENGINE) if not p["metadata"].get("deletionTimestamp")]
        newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        name = f"--namespace={self.namespace.name}"
        self.namespace.kubectl.run("exec", name, newest["metadata"]["name"], "--", "sh", "-c", script)

    def node(self) -> str:
        """The name of the cluster's first node."""
        return str(self.namespace.kubectl.json("get", "nodes")["items"][0]["metadata"]["name"])


Act = Callable[[Scene], object]
"""Something done to a scene. It blocks; it runs in a thread."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause."""

    name: str
    reason: str
    """What some condition must say of it, with status other than True."""
    act: Act
    sign: Sign | None
    """Kubernetes' first sign of it; None where the act itself is one, an edit of an object of ours."""
    mend: Act
    mended: Sign | None
    """Kubernetes' first sign that it is mended; None where the mend itself is one."""
    before: Act | None = None
    """What has to be there beforehand."""
    settled: Sign = signs.nothing
    """What shows that it is."""
    says: str = ""
    """What the message must hold."""
    shown: Sign | None = None
    """What our status must show instead of the reason in a condition."""
    clean: Act | None = None
    """What takes away what outlives the namespace."""
    labels: Sequence[tuple[str, str]] = ()
    """Labels of the namespace."""
    steady: bool = False
    """Whether Ready and Available must stay True all the while."""
    alone: bool = False
    """Whether it touches the node, and so must run before all others."""
    hub: bool = False
    """Whether it needs the hub for itself."""
    patience_s: float = 180.0
    """How long each of Kubernetes' signs may take."""
