"""The API for clients with a bearer token. It calls Microsoft Graph on behalf of the token's person."""
