"""A server that lies, to Covey's phones and decryptors and to a client of Flower's SecAgg+: who refuses what."""
