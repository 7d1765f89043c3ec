"""The recommender: its part on the device, its training steps, and what the server makes of noisy sums."""
