"""Tickets for rounds: issuer keys, blind signatures, epochs, and manifests and evidence of rounds."""
