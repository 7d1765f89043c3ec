"""Authentication and authorization of the HTTP API's callers: roles, tokens, proofs, and the access log."""
