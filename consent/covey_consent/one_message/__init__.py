"""Rounds in one message at the registry: the pure `covey_privacy.secagg.notary` on the database."""
