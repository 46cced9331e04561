"""What other apps may import of accounts: each verb from the module it lives in."""

from __future__ import annotations

from accounts.editing import IDENTITIES, IDENTITY_LENGTHS, bind_email, reset_password, update_self, update_user
from accounts.first_account import SeededRoot, seed_root
from accounts.management import delete_self, delete_user, manage
from accounts.registration import create_user, invitation_code, register
from accounts.signing_in import (
    access_token_digest,
    authenticate,
    find_by_access_token,
    find_by_login,
    renew_access_token,
)
from accounts.tokens import create_token, new_key, token_digest
from accounts.top_ups import top_up

__all__ = [
    "IDENTITIES",
    "IDENTITY_LENGTHS",
    "SeededRoot",
    "access_token_digest",
    "authenticate",
    "bind_email",
    "create_token",
    "create_user",
    "delete_self",
    "delete_user",
    "find_by_access_token",
    "find_by_login",
    "invitation_code",
    "manage",
    "new_key",
    "register",
    "renew_access_token",
    "reset_password",
    "seed_root",
    "token_digest",
    "top_up",
    "update_self",
    "update_user",
]
