"""The ways of an attempt to its upstream and back.

untouched    caller and upstream speak OpenAI's dialect: bytes pass, usage is read out of them in passing
overheard    both speak another dialect, the same one: bytes pass, and the protocol's reader listens
translated   they speak different ones: both ends meet in the neutral form
"""

from relay.passages.choice import find

__all__ = ["find"]
