"""Finding rows by part of a text, alike on every database."""

from __future__ import annotations

from django.db.models import F, Q
from django.db.models.functions import Lower
from django.db.models.lookups import Contains


def holds(column: str, text: str) -> Q:
    """The column holds the text somewhere, whatever their case; `%` and `_` stand for themselves.

    `icontains` follows the collation, and MariaDB's minds the case. Beyond ASCII, SQLite knows no lower case: there
    the text as typed decides.
    """
    return Q(**{f"{column}__contains": text}) | Q(Contains(Lower(F(column)), text.lower()))
