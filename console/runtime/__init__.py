"""/runtime: what this node runs with, for root; nothing can be changed here."""
