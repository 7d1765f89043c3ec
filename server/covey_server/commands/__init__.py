"""The commands of who operates rounds: `covey operator`, `site` and `decryptor`."""
