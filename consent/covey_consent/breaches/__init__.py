"""Personal data breaches: the register and its deadlines (GDPR Art. 33, 34; PIPL Art. 57)."""
