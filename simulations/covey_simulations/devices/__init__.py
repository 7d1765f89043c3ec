"""Simulated phones: real devices in processes of their own, alone or behind a Flower node."""
