"""/groups: groups and their factors, for root."""
