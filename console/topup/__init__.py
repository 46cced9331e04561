"""/topup: redeeming a code, where to get one, inviting others, and the last top-ups."""
