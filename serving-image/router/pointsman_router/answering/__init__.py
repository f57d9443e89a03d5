"""A request's life: a client's connection, the stages, the attempts at engines, and the answer."""
