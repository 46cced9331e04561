"""Several nodes behind nginx, on PostgreSQL and Redis, in network namespaces: `deploy/try-nodes`."""
