"""OpenAI's Responses API, as callers speak it."""
