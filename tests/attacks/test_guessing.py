"""Guessing: what answers give away of accounts and codes, how often one may try, and how secrets are compared."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.auth.hashers import get_hasher
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import callers, signing_in
from accounts.models import User, UserStatus
from accounts.services import create_token, delete_self, renew_access_token
from api import throttling
from audit.services import SYSTEM
from redemptions.models import Redemption
from redemptions.services import create_codes, redeem
from tests.api.conftest import Caller
from tests.console.conftest import signed_in
from vault.keys import digest

pytestmark = pytest.mark.django_db


def by_api(name: str, password: str) -> HttpResponse:
    body = {"username": name, "password": password}
    return Client().post("/api/user/login", body, content_type="application/json")  # type: ignore[return-value]


def by_page(name: str, password: str) -> HttpResponse:
    return Client().post("/login", {"username": name, "password": password})  # type: ignore[return-value]


def told(answer: HttpResponse, name: str) -> tuple[int, str, list[str], list[str]]:
    """All of an answer but what is drawn for it and what was typed."""
    text = re.sub(r'(csrfmiddlewaretoken" value|nonce|content|id)="[^"]*"', "", answer.content.decode())
    text = re.sub(r"\b[0-9a-zA-Z]{32,}\b", "", text.replace(name, "NAME"))
    return answer.status_code, text, sorted(answer.headers), sorted(answer.cookies)


def counted(step: Callable[..., Any], hashed: list[str]) -> Callable[..., Any]:
    """The step of a hasher, noted in `hashed`, unless it is part of another."""

    def noted(_hasher: Any, *arguments: Any, **more: Any) -> Any:
        outermost = "within" not in hashed
        hashed.append("within")
        done = step(*arguments, **more)
        hashed.remove("within")
        hashed.extend(["whole"] if outermost else [])
        return done

    return noted


@pytest.mark.parametrize("enter", [by_api, by_page])
def test_signing_in_tells_nothing_of_an_account_and_hashes_once(
    enter: Callable[[str, str], HttpResponse], alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, a wrong password, disabled with the right one, deleted with the right one: one answer, the same work."""
    User.objects.filter(pk=bob.pk).update(status=UserStatus.DISABLED)
    hashed: list[str] = []
    for step in ("encode", "verify"):
        monkeypatch.setattr(type(get_hasher()), step, counted(getattr(get_hasher(), step), hashed))

    found, work = [], []
    for name, password in (
        ("nobody", "a wrong one"),
        ("alice", "a wrong one"),
        ("bob", "bob's password"),
        ("bob", "x"),
    ):
        hashed.clear()
        found.append(told(enter(name, password), name))
        work.append(len(hashed))

    assert all(one == found[0] for one in found[1:])
    assert work == [1, 1, 1, 1]


def test_a_deleted_account_is_as_unknown_as_one_that_never_was(alice: User) -> None:
    delete_self(alice, SYSTEM)

    assert told(by_api("alice", "alice's password"), "alice") == told(by_api("nobody", "alice's password"), "nobody")


def test_a_user_name_and_its_address_are_one_account_to_guess_at(alice: User, bob: User) -> None:
    """Thirty in 20 minutes altogether. Nobody else's count is touched, not even by a name that is like an address."""
    User.objects.filter(pk=alice.pk).update(email="Alice@one.example", email_key="alice@one.example")
    User.objects.filter(pk=bob.pk).update(username="bob@one.example", username_key="bob@one.example")
    for name in ["alice", "ALICE@one.example"] * 15:
        throttling.count_wrong_password(name)

    for name in ("alice", "alice@one.example"):
        assert by_api(name, "alice's password").status_code == 429
        assert by_page(name, "alice's password").status_code == 429
    assert by_api("bob@one.example", "bob's password").status_code == 200
    User.objects.filter(pk=alice.pk).update(email="bob@one.example", email_key="bob@one.example")
    assert by_api("bob@one.example", "bob's password").status_code == 200


@pytest.mark.parametrize("enter", [by_api, by_page])
@pytest.mark.parametrize("name", ["a\x00@b", "@", "\u4e2d@\u6587", "a" * 300 + "@b.example"])
def test_any_name_may_be_tried(db: None, enter: Callable[[str, str], HttpResponse], name: str) -> None:
    assert enter(name, "a wrong one").status_code in (200, 422)


# Redemption codes


def test_codes_that_are_used_disabled_and_unknown_read_the_same(user: Caller, alice: User) -> None:
    used, disabled, good = create_codes(SYSTEM, name="gift", count=3, quota=5)
    redeem(alice.pk, used)
    Redemption.objects.filter(pk__in=[one.pk for one in Redemption.objects.all() if one.key == disabled]).update(
        status=2
    )
    before = User.objects.values_list("quota", flat=True).get(pk=user.user.pk)

    answers = [user.post("user/topup", {"key": key})["message"] for key in (used, disabled, "0" * 32)]

    assert answers[0] == answers[1]
    assert {good, used, disabled}.isdisjoint("".join(answers).split())
    assert User.objects.values_list("quota", flat=True).get(pk=user.user.pk) == before


def test_two_doors_are_not_twice_as_many_tries_at_codes(user: Caller) -> None:
    """Ten codes that do not exist in 20 minutes, by API and by page together; then the right one waits as well."""
    (good,) = create_codes(SYSTEM, name="gift", count=1, quota=5)
    client = signed_in(user.user)
    for number in range(5):
        assert user.post("user/topup", {"key": f"{number:032x}"})["success"] is False
        assert client.post("/topup", {"code": f"a{number:031x}"}).status_code == 422

    assert user.send("POST", "user/topup", {"key": good}).status_code == 429
    assert "Too many wrong codes" in client.post("/topup", {"code": good}).content.decode()
    assert Redemption.objects.get().status == 1


# Comparing, by structure: a digest is looked up, or two texts are compared in constant time


def queries_of(act: Callable[[], object]) -> str:
    with CaptureQueriesContext(connection) as caught:
        act()
    assert len(caught) > 0
    return " ".join(query["sql"] for query in caught)


def test_what_lets_in_is_looked_up_by_its_digest(alice: User) -> None:
    key = create_token(user_id=alice.pk, name="mine").key
    access = renew_access_token(alice.pk, SYSTEM)
    (code,) = create_codes(SYSTEM, name="gift", count=1, quota=5)
    looked_up: list[tuple[str, str, Callable[[], object]]] = [
        (key, digest("token", key), lambda: callers.find(key)),
        (access, signing_in.access_token_digest(access), lambda: signing_in.find_by_access_token(access)),
        (code, Redemption.objects.get().key_digest, lambda: redeem(alice.pk, code)),
    ]

    for secret, kept, act in looked_up:
        asked = queries_of(act)
        assert kept in asked
        assert secret not in asked


SECRET = re.compile(r"(secret|password|token|digest|signature|nonce|state|verifier|hash|(^|_)key|(^|_)code)$")
FACING = ("accounts", "api", "channels_app", "config", "console", "notices", "options", "redemptions", "relay", "vault")
# Compared with `==`, and no secret that somebody brings: names, states of things, hashes of one row read twice.
PLAIN = {
    "accounts/api.py: user.password != caller(request).password",
    "console/account/personal.py: one.session_key == request.session.session_key",
    "console/channels/rows.py: self.health.breaker_state != BreakerState.CLOSED",
    "console/codes/bulk.py: state == State.USED",
    "relay/adapters/bedrock/signing.py: parts[0] == key",
    "relay/adapters/openai/answer.py: key != known_key",
    "relay/websocket.py: response.status_code != SWITCHED",
}


def compared() -> Iterator[str]:
    """Comparisons by == and != of which a side has a secret's name, without those with a constant."""
    root = Path(configured.BASE_DIR)
    for path in sorted(found for folder in FACING for found in (root / folder).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
                sides = [node.left, *node.comparators]
                if not any(isinstance(one, ast.Constant) for one in sides) and any(map(_secret, sides)):
                    yield f"{name}: {ast.unparse(node)}"


def _secret(side: ast.expr) -> bool:
    name = side.id if isinstance(side, ast.Name) else side.attr if isinstance(side, ast.Attribute) else ""
    return SECRET.search(name) is not None


def test_no_secret_is_compared_letter_by_letter() -> None:
    found = set(compared())

    assert found - PLAIN == set()
    assert len(found) >= 5  # the search finds what there is
