"""/analytics: who used what, through which channel, for how much."""
