"""A command-line client for Understudy's API: a public client application that keeps its own token cache."""
