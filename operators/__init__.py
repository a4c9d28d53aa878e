"""Operators' pages: does the app work for everybody, and what to do when it doesn't."""
