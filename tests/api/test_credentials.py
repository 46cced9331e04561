"""What lets a caller in: drawn so that nobody foresees it, compared exactly, and only while the account is enabled."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.test import Client

from accounts import registration, services
from accounts.models import Role, User
from accounts.services import create_token, create_user, token_digest
from audit.services import SYSTEM
from notices.codes import Purpose, issue
from redemptions.services import create_codes
from tests.api.conftest import Caller

# What may be guessed by anybody: which channel is drawn, the digits that tell two requests of one moment apart, and
# when a stream's progress is written down first.
FORESEEABLE = {"relay/request_id.py", "relay/route.py", "relay/streaming.py"}


def access_token() -> str:
    return services.renew_access_token(User.objects.get(username="alice").pk, SYSTEM)


def root_password() -> str:
    User.objects.all().delete()
    seeded = services.seed_root(None, "", "")
    assert seeded is not None
    return str(seeded.password)


def after_a_known_state(draw: Callable[[], str]) -> str:
    """What is drawn, and then undone, so that the next draw finds the same rows."""
    random.seed(7)
    with transaction.atomic():
        drawn = draw()
        transaction.set_rollback(True)
    return drawn


DRAWN: dict[str, Callable[[], str]] = {
    "a token's key": lambda: create_token(user_id=User.objects.get(username="alice").pk, name="t").key,
    "an access token": access_token,
    "an invitation code": lambda: create_user(username=f"u{User.objects.count()}", password=None).aff_code or "",
    "a redemption code": lambda: create_codes(SYSTEM, name="gift", count=1, quota=1)[0],
    "a code by mail": lambda: issue(Purpose.ADDRESS, "dave@example.com"),
    "a reset link": lambda: issue(Purpose.RESET, "dave@example.com"),
    "root's first password": root_password,
}


@pytest.mark.parametrize("what", DRAWN)
def test_a_known_state_of_the_common_generator_foresees_no_secret(what: str, alice: User) -> None:
    first = after_a_known_state(DRAWN[what])

    assert first
    assert after_a_known_state(DRAWN[what]) != first


def test_the_common_generator_draws_nothing_that_is_secret() -> None:
    importers = set()
    for path in Path(settings.BASE_DIR).glob("*/**/*.py"):
        name = path.relative_to(settings.BASE_DIR).as_posix()
        if name.startswith((".", "tests/", "bench/")):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if "random" in modules or "django.utils.crypto.random" in modules:
                importers.add(name)

    assert importers == FORESEEABLE


@pytest.mark.parametrize("status", [0, 2, 3, 4])
def test_only_an_enabled_account_gets_in(
    status: int, root: Caller, browser: Callable[..., Client], alice: User
) -> None:
    signed_in = browser(alice)
    User.objects.filter(pk__in=(alice.pk, root.user.pk)).update(status=status)

    assert root.get("user/self") == {"success": False, "message": "用户已被封禁"}
    assert signed_in.get("/api/user/self").json() == {"success": False, "message": "用户已被封禁"}
    answer = Client().post(
        "/api/user/login", {"username": "alice", "password": "alice's password"}, content_type="application/json"
    )
    assert answer.json()["success"] is False


def test_an_access_token_is_compared_to_the_letter(user: Caller) -> None:
    for value in ("TOKEN OF CAROL", "Token of carol", "token of caro", "token of carol0"):
        user.headers = {"Authorization": value}
        assert user.get("user/self")["message"] == "无权进行此操作，access token 无效"


def test_a_redemption_code_is_compared_to_the_letter(user: Caller) -> None:
    (key,) = create_codes(SYSTEM, name="gift", count=1, quota=5)

    assert user.post("user/topup", {"key": key.upper()})["message"] == "兑换失败，无效的兑换码"
    assert user.post("user/topup", {"key": key})["success"]


@pytest.mark.parametrize("column", ["email_key", "username_key", "aff_code", "github_id", "oidc_id"])
def test_the_database_itself_keeps_what_names_an_account_apart(column: str, alice: User, bob: User) -> None:
    User.objects.filter(pk=alice.pk).update(**{column: "the same"})

    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=bob.pk).update(**{column: "the same"})


def test_an_invitation_code_drawn_twice_is_drawn_again(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when two who register draw the same free code at the same moment."""
    draws = iter([alice.aff_code, alice.aff_code, "fresh"])
    monkeypatch.setattr(registration, "_new_aff_code", lambda: next(draws))

    assert create_user(username="dave", password="a good password").aff_code == "fresh"


def test_the_first_code_a_root_asks_for_is_drawn_again_too(
    root: Caller, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([alice.aff_code, "fresh"])
    monkeypatch.setattr(registration, "_new_aff_code", lambda: next(draws))

    assert root.get("user/aff") == {"success": True, "message": "", "data": "fresh"}


def test_many_people_have_codes_of_their_own(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two letters to draw from, 16 codes of four exist; the 40 drawn are longer where those are taken."""
    monkeypatch.setattr(registration, "LETTERS", "ab")
    codes = [create_user(username=f"user{number}", password=None).aff_code for number in range(40)]

    assert len(set(codes)) == 40


def _stored(table: str, column: str, row: int) -> Any:
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {quote(column)} FROM {quote(table)} WHERE id = %s", [row])
        return cursor.fetchone()[0]


def test_an_access_token_and_a_tokens_key_are_found_by_digest(user: Caller) -> None:
    shown = user.get("user/token")["data"]
    token = create_token(user_id=user.user.pk, name="work")

    assert len(shown) == 32
    assert shown not in str(_stored("users", "access_token_digest", user.user.pk))
    assert _stored("tokens", "key_digest", token.pk) == token_digest(token.key) != token.key
    assert User.objects.get(pk=user.user.pk).role == Role.COMMON


def test_a_session_dies_with_its_password_however_that_was_changed(browser: Callable[..., Client], alice: User) -> None:
    """Also where nobody ended it, as with a password set from the command line."""
    signed_in = browser(alice)
    assert signed_in.get("/api/user/self").json()["success"]
    alice.set_password("another password")
    alice.save(update_fields=["password"])

    assert signed_in.get("/api/user/self").status_code == 401
