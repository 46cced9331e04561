"""What somebody wants of the console, kept with the account: theme, page size, zone, language, hidden columns …

Pages are drawn by cookies, which cost no query and are all that a guest has (console.preferences reads them). The
account keeps the same texts, and hands them to a browser when somebody signs in there. Whatever is stored is read as
mistrustfully as a cookie: a text that makes no sense counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from accounts.models import User, Wishes

NAMES = frozenset(
    {"theme", "density", "page_size", "shortcuts", "sidebar", "zone", "notice", "language"}
)  # and columns_<list>
COLUMNS = "columns_"
LONGEST = 400  # characters of one text
MOST = 100  # texts of one account


def is_wish(name: str, value: str) -> bool:
    known = name in NAMES or (name.startswith(COLUMNS) and name.isidentifier() and len(name) <= 64)
    return known and len(value) <= LONGEST and value.isprintable() and value.isascii()


def wishes_of(user_id: int) -> dict[str, str]:
    """By name; {} for an account that has none."""
    stored = Wishes.objects.filter(pk=user_id).values_list("texts", flat=True).first()
    texts = stored if isinstance(stored, dict) else {}
    return {name: value for name, value in texts.items() if isinstance(value, str) and is_wish(name, value)}


@transaction.atomic
def wish(user_id: int, changes: Mapping[str, str]) -> None:
    """Keep these, beside the others; an empty text forgets one. What is no wish is left out."""
    User.objects.select_for_update().get(pk=user_id)
    kept = {**wishes_of(user_id), **{name: value for name, value in changes.items() if is_wish(name, value)}}
    texts = dict(list({name: value for name, value in kept.items() if value}.items())[-MOST:])
    Wishes.objects.update_or_create(pk=user_id, defaults={"texts": texts})
