"""A server that lies, to a device of Covey's and to a client of Flower's own SecAgg+: who refuses what."""
