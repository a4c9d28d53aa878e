"""A command-line client for Understudy's API: a public client application with a token cache of its own."""
