"""Operators' pages: is everybody looked after, and what can be done about those who are not."""
