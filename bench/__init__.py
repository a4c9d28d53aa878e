"""Benchmarks: each measures the app beside its baseline, in one go, on this machine. Never deployed."""
