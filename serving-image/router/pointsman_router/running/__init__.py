"""One process, or several, on a port: listening, TLS, logs, the graceful stop."""
