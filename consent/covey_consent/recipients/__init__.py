"""Recipients: to whom data go, and that each of them is told what a person decided (GDPR Art. 19)."""
