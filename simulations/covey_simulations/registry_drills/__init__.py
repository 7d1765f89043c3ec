"""Drills of the registry: crash, tampering and erasure, each played on a registry of its own."""
