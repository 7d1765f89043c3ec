"""Running the registry: HTTP server, limits, supervision, readiness, metrics and logging."""
