"""Pages for everybody: home."""
