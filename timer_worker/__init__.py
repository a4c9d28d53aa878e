"""Acts for people while they are away: the timer, the sweep, and the tasks it runs in their name."""
