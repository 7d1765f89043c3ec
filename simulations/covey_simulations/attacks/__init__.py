"""A server that lies, to Covey's phones and decryptors and to Flower's SecAgg+ client: who refuses what."""
