"""Fixtures of rounds in one message."""

from secagg_rounds import issuers, kind, players

__all__ = ["issuers", "kind", "players"]
