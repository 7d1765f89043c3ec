"""Personal data breaches: the register, who is told and by when (GDPR Art. 33, 34; PIPL Art. 57)."""
