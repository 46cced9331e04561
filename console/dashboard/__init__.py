"""/dashboard: one's own figures, and for operators how the gateway is."""
