"""Recipients of personal data, and their notification of what a person decides (GDPR Art. 19)."""
