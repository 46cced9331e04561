"""The models an account may call, and their prices."""
