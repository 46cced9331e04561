"""The search over pages and things (console reference, 11.6): each finds what they may see, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse

from accounts.models import User
from accounts.services import create_token
from audit.services import SYSTEM
from channels_app.services import create_channels
from console.shell.finding import MOST, Group, things
from redemptions.models import Redemption
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def texts(groups: list[Group]) -> dict[str, list[str]]:
    return {str(group.label): [thing.text for thing in group.things] for group in groups}


def there(name: str) -> bool:
    try:
        return bool(reverse(name, args=[1]))
    except NoReverseMatch:
        return False


@pytest.fixture
def blue(alice: User, adam: User) -> int:
    """Everything is called blue; returns the id of the channel."""
    create_token(user_id=alice.pk, name="blue laptop")
    create_token(user_id=adam.pk, name="blue server")
    User.objects.filter(pk=alice.pk).update(display_name="Blue Alice")
    Redemption.objects.create(key_digest="x", key="0" * 32, name="blue friday", quota=1, created_time=1)
    return create_channels(SYSTEM, {"type": 1, "name": "blue channel", "models": "m"}, ["sk-blue-secret"])[0]


def test_a_user_finds_pages_and_own_keys(alice: User, blue: int) -> None:
    page = text_of(signed_in(alice).get("/palette?q=blue"))

    assert texts(things(alice, "BLUE")) == {"API keys": ["blue laptop"]}
    assert "blue laptop" in page
    assert "blue server" not in page
    assert "blue channel" not in page
    assert 'href="/token"' in text_of(signed_in(alice).get("/palette?q=api"))


def test_an_administrator_finds_channels_users_and_codes_too(adam: User, blue: int) -> None:
    expected = {"API keys": ["blue server"]}
    for label, page, name in (
        ("Channels", "channel", "blue channel"),
        ("Users", "user", "alice"),
        ("Redemption codes", "code-edit", "blue friday"),
    ):
        if there(page):
            expected[label] = [name]

    assert texts(things(adam, "blue")) == expected
    assert "sk-blue-secret" not in text_of(signed_in(adam).get("/palette?q=blue"))


def test_a_number_finds_by_id(adam: User, alice: User) -> None:
    assert [thing.text for group in things(adam, f"#{alice.pk}") for thing in group.things] == ["alice"]
    assert things(adam, "9" * 30) == []


def test_deleted_accounts_are_not_found(adam: User, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(status=3)

    assert things(adam, "alice") == []


def test_no_more_than_a_few_of_each_and_nothing_without_words(alice: User) -> None:
    for number in range(MOST + 3):
        create_token(user_id=alice.pk, name=f"key {number}")

    assert [len(group.things) for group in things(alice, "key")] == [MOST]
    assert things(alice, "") == []


def test_what_is_called_so_is_shown_as_text(alice: User) -> None:
    create_token(user_id=alice.pk, name="<b>bold</b>")

    assert "&lt;b&gt;bold" in text_of(signed_in(alice).get("/palette?q=bold"))


@pytest.mark.parametrize(
    ("target", "whole"), [(None, True), ("dialog-body", False), ("palette-found", False)], ids=["page", "box", "found"]
)
def test_the_palette_is_a_page_a_box_and_a_list(alice: User, target: str | None, whole: bool) -> None:
    headers = {"hx-request": "true", "hx-target": target} if target else {}

    page = text_of(signed_in(alice).get("/palette?q=help", headers=headers))

    assert ("<html" in page) is whole
    assert ('name="q"' in page) is (target != "palette-found")


@pytest.mark.parametrize("count", [10, 60])
def test_the_queries_do_not_grow_with_what_there_is(adam: User, count: int) -> None:
    for number in range(count):
        create_token(user_id=adam.pk, name=f"blue {number}")
        create_channels(SYSTEM, {"type": 1, "name": f"blue {number}", "models": "m"}, ["sk-x"])
    client = signed_in(adam)
    client.get("/palette?q=blue")

    with CaptureQueriesContext(connection) as queries:
        client.get("/palette?q=blue", headers={"hx-request": "true", "hx-target": "palette-found"})

    assert len(queries) == 8
