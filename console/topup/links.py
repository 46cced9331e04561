"""The operator's address where codes are sold, told who comes (console reference, 4.4). Payment sites rely on it."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode, urlsplit, urlunsplit

from accounts.models import User


def shop_address(link: str, user: User) -> str:
    """`link` with username, user_id and a new transaction_id appended; the parameters it has stay as they are.

    The id is made here (defect D13): a browser makes none on plain HTTP.
    """
    parts = urlsplit(link)
    told = urlencode({"username": user.username, "user_id": user.pk, "transaction_id": str(uuid.uuid4())})
    query = f"{parts.query}&{told}" if parts.query else told
    return urlunsplit(parts._replace(query=query))
