"""Everything behind the triggers: accounts, their store, identity, other services' clients, pages. No triggers."""
