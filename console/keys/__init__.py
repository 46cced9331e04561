"""/token: a person's own API keys."""
