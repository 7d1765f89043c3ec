"""The transparency log: entries, inclusion promises, checkpoints and their cosignatures."""
