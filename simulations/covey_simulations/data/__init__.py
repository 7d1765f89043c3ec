"""Data sets of simulated shops: orders, purchases, item catalogue and rule bundle."""
