"""What the command line does to a registry, one module for each noun."""
