"""What `covey registry ...` does: plain functions that print and return an exit status."""
