"""What upstreams speak: an address, headers and a body for an attempt, and the reading of what comes back."""
