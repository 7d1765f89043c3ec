"""The commands that need the protocol alone: `covey certificate verify`, `log` and `protocol`."""
