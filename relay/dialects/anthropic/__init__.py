"""Anthropic's Messages API, as callers speak it."""
