"""Clients of other services: HTTP, Microsoft Graph, and the storage account with its queues."""
