"""/token: one's API keys, as a browser gets them with and without script."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import NEVER, Token, TokenStatus, User
from accounts.services import create_token
from audit.models import AuditEntry
from audit.services import SYSTEM
from console.keys.links import client_links
from options.services import set_option
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db

FIELDS = {"name": "laptop", "lifetime": "never", "unlimited": "on", "quota_0": "", "quota_1": "points", "count": "1"}


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def drawer(target: str = "drawer-body") -> dict[str, str]:
    """The headers with which htmx asks for a part."""
    return {"hx-request": "true", "hx-target": target}


def test_a_key_is_shown_once_and_only_to_its_owner(alice: User, adam: User) -> None:
    token = create_token(user_id=alice.pk, name="work", unlimited_quota=True)
    client = signed_in(alice)

    assert token.key not in text_of(client.get("/token"))
    assert f"sk-{token.key}" in text_of(client.post(f"/token/{token.pk}/reveal"))
    assert token.key not in text_of(client.get("/token"))
    assert signed_in(adam).post(f"/token/{token.pk}/reveal").status_code == 404
    assert client.get(f"/token/{token.pk}/reveal").status_code == 405
    assert AuditEntry.objects.filter(action="token.reveal", actor_id=alice.pk).count() == 1


@pytest.mark.parametrize("headers", [{}, drawer()], ids=["page", "drawer"])
def test_a_new_key_is_shown_as_it_is_made(alice: User, headers: dict[str, str]) -> None:
    answer = signed_in(alice).post("/token/add", FIELDS, headers=headers)

    token = alice.tokens.get()
    assert (token.name, token.unlimited_quota, token.expired_time) == ("laptop", True, NEVER)
    assert f"sk-{token.key}" in text_of(answer)
    assert ("<html" in text_of(answer)) == (not headers)


def test_a_limit_can_be_typed_in_dollars(alice: User) -> None:
    signed_in(alice).post("/token/add", {**FIELDS, "unlimited": "", "quota_0": "1.5", "quota_1": "dollars"})

    token = alice.tokens.get()
    assert (token.unlimited_quota, token.remain_quota) == (False, 750_000)  # 500,000 points are a dollar


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": ""}, "This field is required."),
        ({"unlimited": ""}, "Enter a limit, or choose that there is none."),
        ({"unlimited": "", "quota_0": "many"}, "Enter a number."),
        ({"unlimited": "", "quota_0": "-1"}, "The amount must be between 0 and 1000000000000000 points."),
        ({"lifetime": "at"}, "Enter the moment at which the key is to expire."),
        ({"subnet": "10.0.0.0/33"}, "invalid CIDR address: 10.0.0.0/33"),
        ({"models": "gpt-nobody-serves"}, "Select a valid choice."),
    ],
)
def test_a_refused_key_says_why_and_makes_none(alice: User, fields: dict[str, str], says: str) -> None:
    answer = signed_in(alice).post("/token/add", {**FIELDS, **fields})

    assert answer.status_code == 422
    assert says in text_of(answer)
    assert not alice.tokens.exists()


def test_several_keys_are_made_at_once_under_different_names(alice: User) -> None:
    page = text_of(signed_in(alice).post("/token/add", {**FIELDS, "count": "10"}))

    tokens = list(alice.tokens.all())
    assert len({token.name for token in tokens}) == 10
    assert all(token.name.startswith("laptop-") for token in tokens)
    assert all(f"sk-{token.key}" in page for token in tokens)


def test_an_edit_that_takes_the_reason_away_switches_the_key_on_again(alice: User) -> None:
    token = create_token(user_id=alice.pk, name="old", unlimited_quota=True, expired_time=int(time.time()) - 60)
    Token.objects.filter(pk=token.pk).update(status=TokenStatus.EXPIRED)

    answer = signed_in(alice).post(f"/token/edit/{token.pk}", FIELDS)

    token.refresh_from_db()
    assert answer.status_code == 302
    assert (token.name, token.status, token.expired_time) == ("laptop", TokenStatus.ENABLED, NEVER)


def test_an_expired_key_is_not_switched_on_by_its_button(alice: User) -> None:
    token = create_token(user_id=alice.pk, name="old", unlimited_quota=True, expired_time=int(time.time()) - 60)
    Token.objects.filter(pk=token.pk).update(status=TokenStatus.EXPIRED)

    answer = signed_in(alice).post(f"/token/{token.pk}/status", {"status": "1"}, headers=drawer(f"key-{token.pk}"))

    token.refresh_from_db()
    assert token.status == TokenStatus.EXPIRED
    assert "This key has expired." in text_of(answer)
    assert f'<tr id="key-{token.pk}"' in text_of(answer)


def test_a_key_is_switched_off_from_the_list_and_comes_back_to_it(alice: User) -> None:
    token = create_token(user_id=alice.pk, name="work", unlimited_quota=True)

    answer = signed_in(alice).post(f"/token/{token.pk}/status", {"status": "2", "next": "/token?sort=name&page=2"})

    token.refresh_from_db()
    assert token.status == TokenStatus.DISABLED
    assert answer["Location"] == "/token?sort=name&page=2"


def test_deleting_asks_first_and_acts_by_post(alice: User, adam: User) -> None:
    token = create_token(user_id=alice.pk, name="work", unlimited_quota=True)
    client = signed_in(alice)

    assert "Delete the key “work”?" in text_of(client.get(f"/token/{token.pk}/delete"))
    assert signed_in(adam).post(f"/token/{token.pk}/delete").status_code == 404
    assert alice.tokens.count() == 1
    client.post(f"/token/{token.pk}/delete")
    assert alice.tokens.count() == 0


def test_the_list_is_filtered_sorted_and_paged_by_its_address(alice: User) -> None:
    for number in range(25):
        create_token(user_id=alice.pk, name=f"key {number:02}", remain_quota=number)
    client = signed_in(alice)

    page = text_of(client.get("/token?sort=name&size=10&page=2"))
    assert [f"key {number:02}" in page for number in (9, 10, 19, 20)] == [False, True, True, False]
    page = text_of(client.get("/token?q=key 1&sort=-remaining"))
    assert page.index("key 19") < page.index("key 10")
    assert "key 09" not in page


def test_the_list_alone_answers_htmx(alice: User) -> None:
    create_token(user_id=alice.pk, name="work")

    answer = signed_in(alice).get("/token", headers=drawer("list"))

    assert "<html" not in text_of(answer)
    assert "work" in text_of(answer)
    assert "HX-Request" in answer["Vary"]


def test_the_list_costs_the_same_however_long_it_is(alice: User) -> None:
    client = signed_in(alice)
    counts = []
    for wanted in (10, 50):
        while alice.tokens.count() < wanted:
            create_token(user_id=alice.pk, name="key", unlimited_quota=True)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get("/token?size=100")
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_hidden_columns_stay_hidden(alice: User) -> None:
    create_token(user_id=alice.pk, name="work")
    client = signed_in(alice)

    client.post("/look/columns", {"list": "keys", "known": ["key", "used", "created"], "shown": ["used", "created"]})

    page = text_of(client.get("/token"))
    assert 'data-label="Key"' not in page
    assert 'data-label="Created"' in page


def test_client_links_are_those_that_the_programs_understand() -> None:
    links = {link.name: link.address for link in client_links("abc", "https://gw.example:8443/base")}

    assert links == {
        "NextChat": "https://app.nextchat.dev/#/?settings=%7B%22key%22%3A%22sk-abc%22%2C%22url%22%3A%22"
        "https%3A%2F%2Fgw.example%3A8443%2Fbase%22%7D",
        "AMA (BotGem)": "ama://set-api-key?server=https%3A%2F%2Fgw.example%3A8443%2Fbase&key=sk-abc",
        "OpenCat": "opencat://team/join?domain=https%3A%2F%2Fgw.example%3A8443%2Fbase&token=sk-abc",
        "LobeChat": "https://lobechat.com/chat?settings=%7B%22keyVaults%22%3A%7B%22openai%22%3A%7B%22apiKey%22%3A%22sk-abc"
        "%22%2C%22baseURL%22%3A%22https%3A%2F%2Fgw.example%3A8443%2Fbase%2Fv1%22%7D%7D%7D",
    }


def test_the_address_shown_is_the_operators(alice: User) -> None:
    set_option(SYSTEM, "ServerAddress", "https://gw.example/")

    assert "curl https://gw.example/v1/chat/completions" in text_of(signed_in(alice).post("/token/add", FIELDS))


def test_a_guest_is_led_back_after_signing_in() -> None:
    assert Client().get("/token?sort=name")["Location"] == "/login?next=/token%3Fsort%3Dname"
