"""The cluster to work on: a real Kubernetes for tests, e2e and the demo."""
