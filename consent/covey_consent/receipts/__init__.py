"""Receipts of consent: ISO/IEC TS 27560 in terms of the Data Privacy Vocabulary, signed, checked offline."""
