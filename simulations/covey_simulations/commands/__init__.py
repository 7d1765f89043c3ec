"""The commands that play or measure: `covey demo`, `bench`, `audit` and `registry drill`."""
