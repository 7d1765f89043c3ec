"""Simulated shops: data sets, fleets of phones, engines, experiments and reports."""
