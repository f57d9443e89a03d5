"""Pointsman: a Kubernetes operator for LLM serving (the control plane)."""

__version__ = "0.1.0"
