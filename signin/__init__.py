"""The home page, signing in and signing out."""
