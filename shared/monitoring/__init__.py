"""Is the app working: readiness, the timer's heartbeat, and counts of accounts."""
