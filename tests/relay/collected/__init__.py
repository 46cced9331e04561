"""For the path of a server's interpreter: what its sitecustomize does."""
