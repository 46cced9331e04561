"""Why a backup or a restore is not made. Each message is one line that says what to do."""

from __future__ import annotations


class Refused(Exception):
    """Nothing has been changed."""


class AlreadyThere(Refused):
    """The file exists, and nobody said that it may go."""


class BadArchive(Refused):
    """It is no archive of ours, or not whole."""


class NewerSchema(Refused):
    """The archive knows migrations that this version does not."""


class OtherSecret(Refused):
    """The archive's databases were written under a secret that is not at hand."""


class InUse(Refused):
    """A server, or another process, has the database open."""
