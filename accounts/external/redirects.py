"""Where providers send browsers back to."""

from __future__ import annotations

from options.registry import Options

LOCAL = "http://localhost:3000"  # where ServerAddress is not set (management contract, 4.2)


def callback(options: Options, provider: str) -> str:
    """The address of the console's landing page, which providers compare to the letter."""
    return f"{(options['ServerAddress'] or LOCAL).rstrip('/')}/oauth/{provider}"
