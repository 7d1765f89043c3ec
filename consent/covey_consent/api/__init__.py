"""The HTTP API: one module of routes for each resource, and what they share."""
