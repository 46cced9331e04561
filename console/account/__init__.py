"""Signing in and out, and one's password."""
