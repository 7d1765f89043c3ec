"""The table of law: what each article asks software to show, and which tests show it."""
