"""A server that lies to a client of Flower's own SecAgg+: who answers what."""
