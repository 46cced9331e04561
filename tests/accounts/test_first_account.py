from __future__ import annotations

import pytest

from accounts.models import Token, User
from accounts.refusals import BadRootToken
from accounts.services import access_token_digest, seed_root, token_digest
from billing.models import LedgerEntry


def test_an_empty_installation_gets_root_with_a_drawn_password(db: None) -> None:
    seeded = seed_root(None, "", "")

    root = User.objects.get()
    assert seeded is not None
    assert seeded.password is not None
    assert root.check_password(seeded.password)
    assert (root.username, root.role, root.aff_code, root.must_change_password) == ("root", 100, None, True)
    assert root.quota == 500_000_000_000_000 == LedgerEntry.objects.get(kind="opening").amount
    assert not Token.objects.exists()


def test_what_the_environment_gives_is_taken(db: None) -> None:
    seeded = seed_root("a password of mine", "sk-abc123", "0123456789abcdef")

    root, token = User.objects.get(), Token.objects.get()
    assert seeded is not None
    assert (seeded.password, seeded.token_id) == (None, token.pk)
    assert (root.check_password("a password of mine"), root.must_change_password) == (True, False)
    assert root.access_token_digest == access_token_digest("0123456789abcdef")
    assert (token.name, token.unlimited_quota, token.key) == ("Initial Root Token", True, "abc123")
    assert (token.key_digest, token.expired_time) == (token_digest("abc123"), -1)


def test_an_installation_with_accounts_is_left_alone(alice: User) -> None:
    assert seed_root("a password of mine", "abc", "def") is None
    assert User.objects.count() == 1


@pytest.mark.parametrize("token", ["sk-", "a-b", "x" * 49, "ключ", "a b"])
def test_a_token_that_cannot_be_a_key_is_refused_without_repeating_it(db: None, token: str) -> None:
    with pytest.raises(BadRootToken, match="INITIAL_ROOT_TOKEN must be"):
        seed_root(None, token, "")
