"""Commands of the simulations: drills of the registry."""
