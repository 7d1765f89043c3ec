"""What `covey registry` does beside serving: plain functions that print, and return an exit status."""
