"""Drills: what a registry promises, played on a registry that is made for it."""
