"""The account root that the first start of this installation made, as long as nobody has used it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Max

from accounts.models import Role, Token, User
from accounts.sessions import end_sessions
from billing.models import EntryKind, Hold, LedgerEntry

MARK = "import:user:"  # begins the reference of an imported user's opening entry


@dataclass(frozen=True)
class FirstRoot:
    """`access_token_digest` and `tokens` (digest, key) are what INITIAL_ROOT_ACCESS_TOKEN and _TOKEN asked for."""

    id: int
    access_token_digest: str | None
    tokens: tuple[tuple[str, str], ...]


def find(*, even_used: bool = False) -> FirstRoot | None:
    """The only account here, if it is root with nothing but its opening balance and never signed in.

    `even_used` forgives that somebody signed in as root and made tokens; never that calls were billed.
    """
    users = list(User.objects.order_by("pk")[:2])
    if len(users) != 1 or users[0].role != Role.ROOT:
        return None
    root = users[0]
    entries = list(LedgerEntry.objects.values_list("kind", "reference")[:3])
    if root.used_quota or root.held or Hold.objects.exists() or len(entries) > 1:
        return None
    if any(kind != EntryKind.OPENING or (reference or "").startswith(MARK) for kind, reference in entries):
        return None
    tokens = list(Token.objects.filter(user_id=root.pk).order_by("pk"))
    if not even_used and (root.last_login is not None or len(tokens) > 1 or any(token.used_quota for token in tokens)):
        return None
    return FirstRoot(root.pk, root.access_token_digest, tuple((token.key_digest, token.key) for token in tokens))


def remove(first: FirstRoot) -> list[Token]:
    """Take the account away; returns its tokens, unsaved, for the root that comes. Call inside a transaction."""
    tokens = list(Token.objects.filter(user_id=first.id).order_by("pk"))
    end_sessions(first.id)
    Token.objects.filter(user_id=first.id).delete()
    LedgerEntry.objects.filter(user_id=first.id).delete()  # it never paid for anything
    User.objects.filter(pk=first.id).delete()
    return tokens


def highest_token_id() -> int:
    return Token.objects.aggregate(highest=Max("pk"))["highest"] or 0
