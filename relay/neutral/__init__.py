"""The form in which client dialects and upstream protocols meet: N dialects and M protocols are N + M files.

`request` is what a caller asks for, `events` what an upstream generates, whole or piece by piece. Both are plain data:
no bytes, no HTTP, no Django.
"""
