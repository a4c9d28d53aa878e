"""What a developer's machine needs beside the app: a sample tenant, a sample Graph, a local host. Never deployed."""
