"""Audits: how much of a person a whole count or training gives away, measured against what is claimed.

`covey audit` plays builds as they ship, and broken ones, and says which of them break their claim.
"""
