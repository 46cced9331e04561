"""/redemption: redemption codes."""
