"""Who may ask what: roles, tokens, and the guard before every route."""
