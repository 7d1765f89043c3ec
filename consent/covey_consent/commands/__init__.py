"""What an operator does to the registry from the command line, beside serving it."""
