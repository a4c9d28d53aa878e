"""The API for clients that bring a bearer token: on-behalf-of in, Microsoft Graph out."""
