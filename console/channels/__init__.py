"""/channel: the upstream accounts, what can be done with one, and with many at once."""
