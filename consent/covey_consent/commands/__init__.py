"""What `covey registry` does, one module for each noun."""
