"""OpenAI's API, and that of everybody who speaks it."""
