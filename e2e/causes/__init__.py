"""`make causes`: what keeps a model from serving, injected on a real node, and when status says so."""
