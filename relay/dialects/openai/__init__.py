"""OpenAI's API, as callers speak it."""
