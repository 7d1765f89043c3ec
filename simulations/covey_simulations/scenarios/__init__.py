"""Simulated shops from set-up to proof: environment, organisations, rounds and training."""
