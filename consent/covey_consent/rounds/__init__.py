"""Rounds in one message: their manifests, what the registry signs in them as notary, their evidence."""
