"""Does the app do its work: readiness, the timer's heartbeat, and counts of accounts."""
