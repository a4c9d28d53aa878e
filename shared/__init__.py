"""Everything behind the triggers: accounts, their store, identity, the clients of other services, pages. No triggers."""
