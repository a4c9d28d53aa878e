"""Outcomes, permissions and times in words, as pages show them."""
