"""Benchmarks. Each measures the app and its baseline side by side, on this machine. Never deployed."""
