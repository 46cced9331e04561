"""What every view of the management API (/api) shares: envelope, sign-in, levels, limits, reading bodies and pages."""
