"""How the program is put together: settings, the address switchboard, and the commands that run it."""
