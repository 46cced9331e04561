"""How fast the gateway is, measured beside what it is made of: `python -m bench`. docs/performance.md explains."""
