"""Unmodified programs and SDKs, pointed at the gateway by their own settings."""
