"""THE HOT PATH: a bare ASGI application. Read `pipeline.py` first; each of its lines is a step, each step a module."""
