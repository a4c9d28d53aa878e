"""The timer, the sweep, and the tasks that it runs in people's names while they are away."""
