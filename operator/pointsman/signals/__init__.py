"""What routers tell, behind a small Protocol: `protocol`, `client` (HTTP), `twin` (scripted).

Knows addresses and JSON; nothing of Kubernetes, of LLMServices or of what is decided.
"""

from pointsman.signals.protocol import RawAnswer, Signals

__all__ = ["RawAnswer", "Signals"]
