"""What callers speak: bytes in, `Call` out. No HTTP client, no Django."""
