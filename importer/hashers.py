"""The reference's password hashes, read as they are."""

from __future__ import annotations

import re

from django.contrib.auth.hashers import BCryptPasswordHasher

BCRYPT = re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}")


class ImportedPasswordHasher(BCryptPasswordHasher):
    """bcrypt without a digest before it, as the reference stored it; the first sign-in replaces the hash."""

    def verify(self, password: str, encoded: str) -> bool:
        """False for what bcrypt refuses to hash (more than 72 bytes): the reference never let anybody choose that."""
        try:
            return super().verify(password, encoded)
        except ValueError:
            return False


def imported(stored: str) -> str | None:
    """A hash of the reference in Django's form; None for what is no bcrypt hash."""
    return f"{ImportedPasswordHasher.algorithm}${stored}" if BCRYPT.fullmatch(stored) else None
