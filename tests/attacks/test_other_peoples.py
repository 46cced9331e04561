"""What is somebody else's: no address with a number in it shows it or changes it, and no administrator climbs by one.

The console's addresses are read from its routes, so that a new one is tried without anybody thinking of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.factors import services as factors
from accounts.many import BulkAction
from accounts.models import Role, Token, User, UserSession
from accounts.services import create_token, create_user
from audit.services import SYSTEM
from billing.models import LedgerEntry, Log, LogType
from options.services import set_option
from tests.accounts.keys import code
from tests.api.conftest import Caller
from tests.console.conftest import signed_in
from tests.console.test_who_may_see import PAGES

pytestmark = pytest.mark.django_db

CANARY = "canary-of-the-owner"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def owned(alice: User) -> dict[str, int]:
    """What alice has, by the first part of its address."""
    token = create_token(user_id=alice.pk, name=CANARY)
    line = Log.objects.create(
        user_id=alice.pk, username="alice", created_at=1_700_000_000, type=LogType.CONSUME, content=CANARY,
        request_id=CANARY, token_name=CANARY, quota=7,
    )  # fmt: skip
    session = UserSession.objects.create(session_key="s" * 32, user_id=alice.pk, user_agent=CANARY)
    factors.add_totp(alice, SYSTEM, SECRET, code(SECRET))
    factor = Authenticator.objects.get(user_id=alice.pk, type=Authenticator.Type.TOTP)
    return {"token": token.pk, "log": line.pk, "sessions": session.pk, "second-factor": factor.pk}


def numbered(levels: set[int]) -> Iterator[str]:
    """Addresses with the number of a row in them, open to these levels."""
    for pattern in PAGES:
        role = getattr(pattern.callback, "console_role", None)
        if "<int:pk>" in str(pattern.pattern) and role in levels:
            yield str(pattern.pattern)


def address_of(route: str, owned: dict[str, int]) -> str:
    kind = next(part for part in route.split("/")[1::-1] if part in owned)
    return "/" + route.replace("<int:pk>", str(owned[kind]))


def rows() -> list[Any]:
    tables: list[Any] = [Token, Log, UserSession, Authenticator]
    found = [list(table.objects.order_by("pk").values()) for table in tables]
    found[2] = [one for one in found[2] if one["user_agent"] == CANARY]  # the visitor's own are noted as well
    return [*found, list(User.objects.order_by("pk").values("pk", "role", "status", "quota", "group", "password"))]


@pytest.mark.parametrize("route", list(numbered({Role.COMMON})))
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_page_of_a_user_takes_the_number_of_somebody_elses(
    route: str, method: str, owned: dict[str, int], bob: User
) -> None:
    client = signed_in(bob)
    before = rows()

    answer = getattr(client, method)(
        address_of(route, owned), {"name": "taken", "lifetime": "never", "unlimited": "on"}
    )

    assert answer.status_code in (404, 405) or (answer.status_code == 302 and method == "post"), answer.status_code
    assert CANARY.encode() not in answer.content
    after = rows()
    assert after[0] == before[0]
    assert after[1] == before[1]
    assert [one for one in after[2] if one["user_agent"] == CANARY] == [
        one for one in before[2] if one["user_agent"] == CANARY
    ]
    assert after[3:] == before[3:]


def test_the_owner_is_let_in(owned: dict[str, int], alice: User) -> None:
    client = signed_in(alice)
    found = {route for route in numbered({Role.COMMON}) if client.get(address_of(route, owned)).status_code == 200}

    assert found >= {"token/edit/<int:pk>", "token/<int:pk>", "token/<int:pk>/series.csv", "log/<int:pk>/"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "token/{token}", None),
        ("DELETE", "token/{token}", None),
        ("PUT", "token", {"id": "{token}", "name": "taken"}),
        ("PUT", "token?status_only=true", {"id": "{token}", "status": 2}),
    ],
)
def test_no_route_takes_the_number_of_somebody_elses_key(
    method: str, path: str, body: Any, owned: dict[str, int], user: Caller
) -> None:
    given = {**body, "id": owned["token"]} if body else None
    before = rows()

    answer = user.send(method, path.format(**owned), given)

    assert answer.json()["success"] is False
    assert CANARY.encode() not in answer.content
    assert rows()[:2] == before[:2]


FILTERS = [
    *("token", "token/search?keyword=canary", "token?user_id={alice}", "token/search?keyword=&user_id={alice}"),
    *("log/self", "log/self?username=alice", "log/self?user_id={alice}", "log/self?token_name=canary-of-the-owner"),
    *("log/self/search?keyword=canary", "log/self/stat?username=alice", "user/self?id={alice}"),
    "user/dashboard?user_id={alice}",
]
PAGES_OF_LISTS = [
    *("/token?user={alice}", "/log?user=alice", "/log?user_id={alice}", "/log/export?user=alice"),
    *("/log/summary/?user=alice", "/dashboard?user={alice}", "/dashboard/series.csv?user={alice}"),
    *(
        "/playground/bill?request=canary-of-the-owner",
        "/palette?q=canary",
        "/setting?user={alice}",
        "/topup?user={alice}",
    ),
]


@pytest.mark.parametrize("path", FILTERS)
def test_no_parameter_of_the_api_opens_somebody_elses(
    path: str, owned: dict[str, int], user: Caller, alice: User
) -> None:
    answer = user.send("GET", path.format(alice=alice.pk))

    assert CANARY.encode() not in answer.content
    assert b'"alice"' not in answer.content
    assert b'"quota":7' not in answer.content


@pytest.mark.parametrize("path", PAGES_OF_LISTS)
def test_no_parameter_of_a_page_opens_somebody_elses(path: str, owned: dict[str, int], bob: User, alice: User) -> None:
    answer = signed_in(bob).get(path.format(alice=alice.pk))

    assert CANARY.encode() not in (b"".join(answer) if answer.streaming else answer.content)


def test_keys_are_not_shown_by_a_list_of_their_numbers(owned: dict[str, int], bob: User) -> None:
    answer = signed_in(bob).post("/token/reveal", {"ids": [str(owned["token"])]})

    assert Token.objects.get(pk=owned["token"]).key.encode() not in answer.content
    assert CANARY.encode() not in answer.content


def test_the_playground_calls_with_no_key_of_somebody_else(owned: dict[str, int], bob: User) -> None:
    body = {"key": owned["token"], "model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}

    answer = signed_in(bob).post("/playground/call", body, content_type="application/json")

    assert answer.status_code >= 400
    assert Log.objects.exclude(content=CANARY).count() == 0


# Administrators and those above them


@pytest.fixture
def above(db: None) -> list[User]:
    people = [
        create_user(username="amy", password="amy's password", role=Role.ADMIN, email="amy@example.com"),
        create_user(username="ruth", password="ruth's password", role=Role.ROOT, email="ruth@example.com"),
    ]
    for person in people:
        create_token(user_id=person.pk, name=CANARY)
        UserSession.objects.create(session_key=f"session of {person.username}", user_id=person.pk)
    return people


def standing(person: User) -> Any:
    """What an administrator must not change of those above: row, keys, sessions, factors, ledger."""
    row = User.objects.filter(pk=person.pk).values().get()
    more: list[Any] = [
        list(table.objects.filter(user_id=person.pk).order_by("pk").values())
        for table in (Token, UserSession, Authenticator, LedgerEntry)
    ]
    return row, more


ACTIONS_OF_MANAGE = ("disable", "delete", "promote", "demote", "enable")
CHANGES: list[dict[str, Any]] = [
    *({"role": 1}, {"role": 100}, {"role": 10}, {"status": 2}, {"status": 3}, {"password": "taken over now"}),
    *({"quota": 1}, {"email": "adam@example.com"}, {"github_id": "1"}, {"oidc_id": "1"}, {"username": "taken"}),
    *({"group": "vip"}, {"display_name": "x"}, {"access_token": "x" * 32}, {"access_token_digest": "x"}),
    {"must_change_password": False},
]
API_STEPS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "user/{id}", {}),
    ("DELETE", "user/{id}", {}),
    *[("POST", "user/manage", {"username": "{name}", "action": one}) for one in ACTIONS_OF_MANAGE],
    ("POST", "user/manage", {"username": "{NAME}", "action": "disable"}),
    *[("PUT", "user", {"id": "{id}", **change}) for change in CHANGES],
]


@pytest.mark.parametrize("number", range(len(API_STEPS)), ids=[f"{one[0]} {one[2]}" for one in API_STEPS])
def test_no_call_of_an_administrator_reaches_those_above_or_beside(
    number: int, admin: Caller, above: list[User]
) -> None:
    method, path, body = API_STEPS[number]
    for person in above:
        names = {"id": person.pk, "name": person.username, "NAME": person.username.upper()}
        given = {key: names.get(str(value).strip("{}"), value) for key, value in body.items()}
        before = standing(person)

        answer = admin.ask(method, path.format(**names), given or None)

        assert answer["success"] is False
        assert answer["message"].startswith("无权"), answer
        assert standing(person) == before


@pytest.mark.parametrize("role", [10, 11, 100, 101, -1, 0, 2])
def test_an_administrator_makes_nobody_an_equal(role: int, admin: Caller, user: Caller) -> None:
    assert admin.put("user", {"id": user.user.pk, "role": role})["success"] is (role == 0)
    assert admin.put("user", {"id": admin.user.pk, "role": role})["success"] is False
    admin.post("user", {"username": "made", "password": "a good password", "role": role})

    roles = dict(User.objects.values_list("username", "role"))
    assert {roles["carol"], roles.get("made", 1)} == {1}
    assert roles["adam"] == 10


def test_an_administrator_reads_and_writes_no_option(admin: Caller) -> None:
    for method, body in (("GET", None), ("PUT", {"key": "RegisterEnabled", "value": "false"})):
        assert admin.ask(method, "option", body) == {"success": False, "message": "无权进行此操作，权限不足"}


PERSON = [route for route in numbered({Role.ADMIN}) if route.startswith("user/")]
FIELDS = {
    "username": "taken",
    "password": "taken over now",
    "display_name": "taken",
    "role": "1",
    "group": "default",
    "quota": "5",
    "status": "2",
    "how": "add",
    "amount_0": "5",
    "amount_1": "points",
    "reason": "x",
}
ACTIONS = ["disable", "delete", "promote", "demote", "enable", "sign-out", "factors", "reset"]


def post_all(client: Client, route: str, person: User) -> None:
    for action in ACTIONS if "<slug" in route else [""]:
        path = "/" + route.replace("<int:pk>", str(person.pk)).replace("<slug:action>", action)
        answer = client.post(path, {**FIELDS, "typed": person.username})
        assert answer.status_code in (302, 403, 404, 405, 422), (path, answer.status_code)


@pytest.mark.parametrize("route", PERSON)
def test_no_page_of_an_administrator_changes_those_above_or_beside(route: str, above: list[User]) -> None:
    adam = create_user(username="adam", password="adam's password", role=Role.ADMIN)
    before = [standing(person) for person in above]

    for person in above:
        post_all(signed_in(adam), route, person)

    assert [standing(person) for person in above] == before


@pytest.mark.parametrize(
    "route", [one for one in PERSON if one.rpartition("/")[2] in ("status", "quota", "ask", "<int:pk>")]
)
def test_the_same_changes_a_user(route: str, alice: User) -> None:
    adam = create_user(username="adam", password="adam's password", role=Role.ADMIN)
    before = standing(alice)

    post_all(signed_in(adam), route, alice)

    assert standing(alice) != before


@pytest.mark.parametrize("action", list(BulkAction))
def test_a_bulk_change_leaves_those_above_out(action: str, above: list[User], alice: User) -> None:
    adam = create_user(username="adam", password="adam's password", role=Role.ADMIN)
    User.objects.filter(pk=alice.pk).update(status=2 if action == "enable" else 1, group="other")
    before, alices = [standing(person) for person in above], standing(alice)
    set_option(SYSTEM, "GroupRatio", '{"default":1,"other":1}')

    numbers = ",".join(str(person.pk) for person in (*above, alice))
    answer = signed_in(adam).post("/user/bulk", {**FIELDS, "action": action, "planned": numbers, "confirmed": "1"})

    assert answer.status_code == 302
    assert [standing(person) for person in above] == before
    assert standing(alice) != alices


def test_the_pages_of_people_are_all_tried() -> None:
    assert len(PERSON) >= 9
    assert len(list(numbered({Role.COMMON}))) >= 9
