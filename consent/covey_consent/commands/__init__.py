"""What `covey registry` does besides serving: one module for each command, of plain functions."""
