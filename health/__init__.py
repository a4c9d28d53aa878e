"""Whether this instance lives, and whether it can work."""
