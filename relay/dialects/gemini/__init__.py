"""Google's Gemini API, as callers speak it."""
