"""What a developer's machine needs besides the app: a sample tenant, a sample Graph and a local host. Never
deployed."""
