"""Microsoft Graph for the person in the browser."""
