"""Evidence packs: what a registry can show, in one file that anyone checks offline with `verify.py` alone."""
