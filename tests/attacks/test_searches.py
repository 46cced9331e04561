"""Searches, orders and pages: wildcards stand for themselves, nobody sorts by a secret, no number is too odd."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils.html import escape

from accounts.models import Role, User
from accounts.services import create_token, create_user
from audit.models import AuditEntry
from audit.services import SYSTEM
from billing.models import Log, LogType
from redemptions.services import create_codes
from tests.api.conftest import Caller
from tests.channels_app.test_services import made
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db

# What LIKE, GLOB and regular expressions take for more than themselves, each before an ending of its own.
TEXTS = ["a%b", "a_b", "a\\b", "aXb", "a'b", 'a"b', "a;b", "a*b", "a?b", "a[b", "a%_b", "a--b", "a\\%b", "a.b"]
NAMES = [f"{text}-{number}e" for number, text in enumerate(TEXTS)]
WORDS = [
    *TEXTS,
    "%",
    "_",
    "a%",
    "a_",
    "a\\",
    "\\",
    "%%",
    "a%b%",
    "a__",
    "'",
    "' OR '1'='1",
    "a' --",
    "*",
    "a*",
    "[a]",
    "a.",
    "^a",
]
LONG = ["%" * 5_000, "_" * 5_000, "a" * 20_000, "\\" * 3_001, "%_" * 2_500, "'" * 5_000]
ORDERS = [
    *(
        "password",
        "-password",
        "access_token_digest",
        "key",
        "key_digest",
        "user__password",
        "id;DROP TABLE users",
        "?",
    ),
    *("quota)", "quota desc", "-", "--", "id,password", "quota__gt", "%", "\x00", "used_quota;", "(select 1)", "pk"),
]
PAGES = [
    "-1",
    "0",
    "1e9",
    "9" * 40,
    "-" + "9" * 40,
    "x",
    "1.5",
    "٣",
    "0x10",
    "\x00",
    "",
    "1;1",
    "nan",
    "inf",
    "2147483648",
]


def write_all(alice: User) -> None:
    """Rows of every kind called by each of NAMES."""
    for number, name in enumerate(NAMES):
        create_token(user_id=alice.pk, name=name)
        create_codes(SYSTEM, name=name, count=1, quota=1)
        made(name=name)
        person = create_user(username=f"person{number}", password=None)
        User.objects.filter(pk=person.pk).update(display_name=name)
        Log.objects.create(
            user_id=alice.pk, username="alice", created_at=1_700_000_000, type=LogType.CONSUME, content=name
        )
        AuditEntry.objects.create(created_at=1_700_000_000, action=name, target=name)


@pytest.fixture
def by_alice(alice: User) -> Caller:
    from accounts.services import access_token_digest

    User.objects.filter(pk=alice.pk).update(access_token_digest=access_token_digest("token of alice"))
    write_all(alice)
    return Caller(alice)


SEARCHES = {
    "token/search": "name",
    "redemption/search": "name",
    "channel/search": "name",
    "user/search": "display_name",
    "log/search": "content",
    "log/self/search": "content",
}


@pytest.mark.parametrize("path", SEARCHES)
def test_a_search_of_the_api_finds_what_begins_so(path: str, by_alice: Caller, root: Caller) -> None:
    caller = by_alice if path in ("token/search", "log/self/search") else root
    for word in WORDS:
        answer = caller.client.get(f"/api/{path}", {"keyword": word}, headers=caller.headers).json()
        found = {row[SEARCHES[path]] for row in answer["data"]}
        assert found & set(NAMES) == {name for name in NAMES if name.lower().startswith(word.lower())}, word


@pytest.mark.parametrize("path", SEARCHES)
def test_a_long_word_finds_nothing(path: str, by_alice: Caller, root: Caller) -> None:
    caller = by_alice if path in ("token/search", "log/self/search") else root
    for word in LONG:
        answer = caller.client.get(f"/api/{path}", {"keyword": word}, headers=caller.headers)
        assert (answer.status_code, answer.json()["data"]) == (200, []), word[:9]


LISTS = {  # of the console: address, parameter
    "/token": "q",
    "/redemption": "q",
    "/channel": "text",
    "/user": "q",
    "/audit": "q",
}


def rows_of(client: Client, path: str, query: dict[str, str]) -> set[str]:
    answer = client.get(path, {"size": "100", **query})
    assert answer.status_code == 200, query
    text = answer.content.decode()
    return {name for name in NAMES if str(escape(name)) in text}


@pytest.mark.parametrize("path", LISTS)
def test_a_search_of_the_console_finds_what_holds_it(path: str, alice: User) -> None:
    write_all(alice)
    boss = create_user(username="boss", password="boss's password", role=Role.ROOT)
    client = signed_in(alice if path == "/token" else boss)
    assert rows_of(client, path, {}) == set(NAMES)

    for word in ("a_b", "a%b", "a\\b", "_", "%", "\\", "a'b", "a*b"):
        wanted = {name for name in NAMES if word in name}
        assert rows_of(client, path, {LISTS[path]: word}) == wanted, word
    for word in LONG[:2]:
        assert client.get(path, {LISTS[path]: word}).status_code == 200


# Orders and pages

ORDERED = ["token", "user"]
PAGED = ["token", "user", "redemption", "channel", "log", "log/self"]


@pytest.mark.parametrize("path", ORDERED)
def test_an_order_that_is_none_is_the_usual_one(path: str, by_alice: Caller, root: Caller) -> None:
    caller = by_alice if path == "token" else root

    def ids(order: str) -> list[int]:
        answer = caller.client.get(f"/api/{path}", {"order": order, "per_page": "100"}, headers=caller.headers)
        return [row["id"] for row in answer.json()["data"]]

    usual = ids("")
    assert usual == sorted(usual, reverse=True)
    for order in ORDERS:
        assert ids(order) == usual, order


@pytest.mark.parametrize("path", PAGED)
def test_a_page_is_never_more_than_a_hundred_rows_and_never_an_error(path: str, by_alice: Caller, root: Caller) -> None:
    caller = by_alice if path in ("token", "log/self") else root
    for number in PAGES:
        queries: list[dict[str, str]] = [{"p": number}, {"per_page": number}]
        for query in queries:
            answer = caller.client.get(f"/api/{path}", query, headers=caller.headers)
            assert answer.status_code == 200, query
            assert answer.json()["success"], query
            assert len(answer.json()["data"]) <= 100


@pytest.mark.parametrize("path", [*LISTS, "/log", "/test-runs", "/models", "/prices"])
def test_a_list_of_the_console_bears_any_order_page_and_size(path: str, alice: User) -> None:
    for name in NAMES[:3]:
        create_codes(SYSTEM, name=name, count=1, quota=1)
        made(name=name)
    client = signed_in(create_user(username="boss", password="boss's password", role=Role.ROOT))
    usual = order_of(client, path, {})
    for order in ("password", "-access_token_digest", "key", "user__password", "id;DROP TABLE users", "quota)"):
        assert order_of(client, path, {"sort": order}) == usual, order
    for number in ("-1", "9" * 40, "x", "\x00", "nan"):
        assert client.get(path, {"page": number, "size": number, "sort": f"-{number}"}).status_code == 200, number


def order_of(client: Client, path: str, query: dict[str, str]) -> list[str]:
    answer = client.get(path, query)
    assert answer.status_code == 200, query
    return re.findall(r'<tr id="([^"]+)"', answer.content.decode())


FILTERED: dict[str, Callable[[str], dict[str, str]]] = {
    "log": lambda text: {"username": text, "token_name": text, "model_name": text},
    "log/stat": lambda text: {"username": text},
    "log/self": lambda text: {"token_name": text, "model_name": text},
}


@pytest.mark.parametrize("path", FILTERED)
def test_a_filter_is_taken_to_the_letter(path: str, by_alice: Caller, root: Caller) -> None:
    caller = by_alice if path == "log/self" else root
    for text in ("%", "a%", "_____", "' OR 1=1 --", "alic_", "al%"):
        answer = caller.client.get(f"/api/{path}", FILTERED[path](text), headers=caller.headers).json()
        assert answer["data"] in ([], {"quota": 0}), text
