"""Emergencies that are played with a registry of their own, to see what comes of it."""
