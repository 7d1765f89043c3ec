"""People's consent decisions: events, states, verdicts and the unit of work that records them."""
