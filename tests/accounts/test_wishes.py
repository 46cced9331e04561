"""What a person wants of the console follows them, and nothing they store can break a page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import User, Wishes
from accounts.wishes import wish, wishes_of
from console.preferences import Preferences, _from_cookies


def sign_in(client: Client) -> Any:
    return client.post("/login", {"username": "alice", "password": "alice's password"})


def test_a_wish_made_here_is_found_in_the_next_browser(alice: User) -> None:
    here, there = Client(), Client()
    sign_in(here)
    here.post("/look/theme", {"theme": "dark"})
    here.post("/i18n/setlang", {"language": "zh-hans"})
    here.post("/look/columns", {"list": "keys", "known": ["used", "group"], "shown": ["group"]})

    answer = sign_in(there)

    assert {name: answer.cookies[name].value for name in ("theme", "django_language", "columns_keys")} == {
        "theme": "dark",
        "django_language": "zh-hans",
        "columns_keys": "used",
    }
    assert '<html lang="zh-hans" data-theme="dark"' in there.get("/setting/password").content.decode()


def test_a_guests_wish_stays_in_the_browser(db: None) -> None:
    answer = Client().post("/look/theme", {"theme": "light"})

    assert answer.cookies["theme"].value == "light"
    assert not Wishes.objects.exists()


def test_wishes_stand_side_by_side_and_an_empty_one_is_forgotten(alice: User) -> None:
    wish(alice.pk, {"theme": "dark", "page_size": "50"})
    wish(alice.pk, {"theme": "", "zone": "Asia/Shanghai"})

    assert wishes_of(alice.pk) == {"page_size": "50", "zone": "Asia/Shanghai"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("role", "100"), ("columns_a b", "x"), ("theme", "x" * 401), ("theme", "dark\r\nSet-Cookie: a=b"), ("theme", "é")],
)
def test_what_is_no_wish_is_not_kept(alice: User, name: str, value: str) -> None:
    wish(alice.pk, {name: value})

    assert wishes_of(alice.pk) == {}


@pytest.mark.parametrize("stored", [[], "text", {"theme": 7}, {"theme": None}, None])
def test_a_row_that_makes_no_sense_counts_as_absent(alice: User, stored: Any) -> None:
    if stored is not None:
        Wishes.objects.create(pk=alice.pk, texts=stored)

    assert wishes_of(alice.pk) == {}


def test_texts_out_of_bounds_fall_back(db: None) -> None:
    nonsense = {"theme": "pink", "density": "x", "page_size": "7", "zone": "Mars/Base", "shortcuts": "maybe"}

    assert _from_cookies(nonsense) == Preferences()


def test_an_account_keeps_a_hundred_texts_at_most(alice: User) -> None:
    for number in range(105):
        wish(alice.pk, {f"columns_l{number}": "x"})

    assert len(wishes_of(alice.pk)) == 100
    assert "columns_l104" in wishes_of(alice.pk)


def test_the_api_hands_out_no_cookies_of_the_console(alice: User) -> None:
    wish(alice.pk, {"theme": "dark"})
    body = {"username": "alice", "password": "alice's password"}

    answer = Client().post("/api/user/login", body, content_type="application/json")

    assert set(answer.cookies) <= {"session", "csrftoken"}
