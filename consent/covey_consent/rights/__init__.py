"""The rights of data subjects: requests, their clocks and effects, exports, erasure and retention."""
