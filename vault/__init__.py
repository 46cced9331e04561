"""Secrets at rest: one root secret, a derived key per purpose, encryption and keyed digests."""
