"""Trying models from the browser."""
