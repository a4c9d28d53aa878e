"""Pages that read Microsoft Graph for the person in the browser."""
