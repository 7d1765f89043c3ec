"""Drills: what Covey promises to people, played with real phones on a registry that is made for it."""
