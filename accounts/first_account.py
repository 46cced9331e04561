"""The account `root` of a new installation (INITIAL_ROOT_PASSWORD, INITIAL_ROOT_TOKEN, INITIAL_ROOT_ACCESS_TOKEN)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.db import transaction

from accounts.models import Role, User
from accounts.refusals import BadRootToken
from accounts.registration import create_user
from accounts.signing_in import access_token_digest
from accounts.tokens import KEY_LENGTH, create_token
from billing.models import EntryKind
from billing.services import credit

ROOT_QUOTA = 500_000_000_000_000


@dataclass(frozen=True)
class SeededRoot:
    """What was made at the first start. `password` is only set where it was generated, to be printed once."""

    user_id: int
    username: str
    password: str | None
    token_id: int | None


@transaction.atomic
def seed_root(password: str | None, token: str, access_token: str) -> SeededRoot | None:
    """The account `root` of an installation without accounts; None, and no change, where there is any.

    Without `password` one is drawn and must be changed. `token` becomes the key of an unlimited token; a leading
    `sk-` is dropped. Raises BadRootToken, BadPassword.
    """
    if User.objects.exists():
        return None
    given = password or secrets.token_urlsafe(12)
    root = create_user(
        username="root", password=given, display_name="Root User", role=Role.ROOT, must_change_password=not password
    )
    credit(root.pk, ROOT_QUOTA, kind=EntryKind.OPENING)
    if access_token:
        User.objects.filter(pk=root.pk).update(access_token_digest=access_token_digest(access_token))
    made = None
    if token:
        made = create_token(
            user_id=root.pk,
            name="Initial Root Token",
            unlimited_quota=True,
            remain_quota=ROOT_QUOTA,
            key=clean_root_token(token),
        )
    return SeededRoot(root.pk, root.username, None if password else given, made.pk if made else None)


def clean_root_token(value: str) -> str:
    """The key as stored. Raises BadRootToken, whose text does not repeat the value."""
    key = value.removeprefix("sk-")
    if not key or len(key) > KEY_LENGTH or not (key.isascii() and key.isalnum()):
        raise BadRootToken(
            f"INITIAL_ROOT_TOKEN must be 1 to {KEY_LENGTH} letters and digits without dashes (a leading sk- is dropped)"
        )
    return key
