"""The witness: a small program that cosigns the checkpoints of logs after checking consistency."""
