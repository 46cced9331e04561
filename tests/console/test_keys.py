"""/token: one's API keys, as a browser gets them with and without script."""

from __future__ import annotations

import html
import json
import shlex
import time
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.confirming import CONFIRMED
from accounts.models import NEVER, Token, TokenStatus, User
from accounts.services import create_token
from audit.models import AuditEntry
from audit.services import SYSTEM
from channels_app.services import create_channels
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


def test_a_row_begins_with_the_keys_name_and_leads_to_what_it_was_used_for(alice: User) -> None:
    key = create_token(user_id=alice.pk, name="of the shop")

    page = text_of(signed_in(alice).get("/token"))

    assert f'<a href="/token/{key.pk}">of the shop</a>' in page


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


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("", "http://testserver"),
        ("https://gw.example:8443", "https://gw.example:8443"),
        ("https://gw.example/base/", "https://gw.example/base"),
    ],
    ids=["unset", "port", "path"],
)
def test_the_links_and_the_first_call_name_the_operators_address(alice: User, address: str, server: str) -> None:
    """Byte for byte. D12: no `null/` without a chat link, `/v1` for LobeChat, all JSON encoded; D38: no localhost."""
    set_option(SYSTEM, "ServerAddress", address)
    create_channels(SYSTEM, {"type": 1, "models": "gpt-4o-mini"}, ["sk-upstream"])

    answer = signed_in(alice).post("/token/add", FIELDS)

    key, encoded = alice.tokens.get().key, quote(server, safe="")
    assert [link.address for link in answer.context["links"]] == [
        f"https://app.nextchat.dev/#/?settings=%7B%22key%22%3A%22sk-{key}%22%2C%22url%22%3A%22{encoded}%22%7D",
        f"ama://set-api-key?server={encoded}&key=sk-{key}",
        f"opencat://team/join?domain={encoded}&token=sk-{key}",
        (
            "https://lobechat.com/chat?settings=%7B%22keyVaults%22%3A%7B%22openai%22%3A%7B%22apiKey%22%3A%22"
            f"sk-{key}%22%2C%22baseURL%22%3A%22{encoded}%2Fv1%22%7D%7D%7D"
        ),
    ]
    page = html.unescape(text_of(answer))
    assert f"ama://set-api-key?server={encoded}&key=sk-{key}" in page
    assert f"curl {server}/v1/chat/completions" in page


def test_a_chat_link_of_the_operator_takes_nextchats_place(alice: User) -> None:
    links = {link.name: link.address for link in client_links("abc", "https://gw.example", "https://chat.example/")}

    assert links["NextChat"].startswith("https://chat.example/#/?settings=%7B%22key%22%3A%22sk-abc%22")
    assert links["LobeChat"].startswith("https://lobechat.com/chat?settings=")


@pytest.mark.parametrize(
    ("chosen", "model"),
    [([], "gpt-4o-mini"), (["tts-1", "o'model"], "o'model"), (["tts-1"], None)],
    ids=["any", "limited", "none that chats"],
)
def test_the_first_call_is_one_that_the_key_may_make(alice: User, chosen: list[str], model: str | None) -> None:
    create_channels(SYSTEM, {"type": 1, "models": "a-chat,gpt-4o-mini,tts-1,o'model"}, ["sk-upstream"])

    page = html.unescape(text_of(signed_in(alice).post("/token/add", {**FIELDS, "models": chosen})))

    assert ("No channel serves a model that this key may chat with yet." in page) is (model is None)
    if model:
        command = page[page.index("curl ") : page.index("</code>", page.index("curl "))]
        body = json.loads(shlex.split(command)[-1])
        assert body == {"model": model, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize("headers", [{}, drawer("dialog-body")], ids=["page", "dialog"])
def test_chosen_keys_are_shown_a_line_each_to_be_copied(alice: User, adam: User, headers: dict[str, str]) -> None:
    mine = [create_token(user_id=alice.pk, name=name, unlimited_quota=True) for name in ("one", "two", "three")]
    theirs = create_token(user_id=adam.pk, name="theirs", unlimited_quota=True)

    chosen = [mine[0].pk, mine[2].pk, theirs.pk, "x", "9" * 30]
    answer = signed_in(alice).post("/token/reveal", {"ids": chosen}, headers=headers)

    assert answer.context["several"] == f"three    sk-{mine[2].key}\none    sk-{mine[0].key}"
    assert theirs.key not in text_of(answer)
    assert mine[1].key not in text_of(answer)
    assert ("<html" in text_of(answer)) == (not headers)
    assert AuditEntry.objects.filter(action="token.reveal", actor_id=alice.pk).count() == 2


def test_choosing_nothing_shows_nothing(alice: User) -> None:
    answer = signed_in(alice).post("/token/reveal", {"next": "/token?q=x"})

    assert (answer.status_code, answer["Location"]) == (302, "/token?q=x")


@pytest.mark.parametrize("address", ["/token/{pk}/reveal", "/token/reveal"])
def test_showing_a_key_asks_who_it_is_after_ten_minutes(alice: User, address: str) -> None:
    token = create_token(user_id=alice.pk, name="work", unlimited_quota=True)
    client = signed_in(alice)
    session = client.session
    session[CONFIRMED] = int(time.time()) - 601
    session.save()

    answer = client.post(
        address.format(pk=token.pk), {"ids": [token.pk]}, headers={"referer": "http://testserver/token"}
    )

    assert (answer.status_code, answer["Location"]) == (302, "/confirm?next=%2Ftoken")
    assert not AuditEntry.objects.filter(action="token.reveal").exists()


def test_an_edit_shows_the_models_as_chips_and_the_usual_limits(alice: User) -> None:
    token = create_token(user_id=alice.pk, name="work", unlimited_quota=True, model_names="gpt-4o,old-model")

    page = text_of(signed_in(alice).get(f"/token/edit/{token.pk}"))

    assert page.count('class="chip-button"') == 2
    assert 'data-copy="old-model"' in page
    assert [dollars for dollars in (1, 10, 50, 100, 500, 1000) if f'data-preset="{dollars}"' in page] == [
        1, 10, 50, 100, 500, 1000,
    ]  # fmt: skip


def test_the_used_part_of_a_limit_is_shown(alice: User) -> None:
    token = create_token(user_id=alice.pk, name="work", remain_quota=750)
    Token.objects.filter(pk=token.pk).update(used_quota=250)

    assert "25% of the limit is used" in text_of(signed_in(alice).get("/token"))


def test_a_key_may_live_for_a_minute(alice: User) -> None:
    before = int(time.time())

    signed_in(alice).post("/token/add", {**FIELDS, "lifetime": "minute"})

    assert before + 60 <= alice.tokens.get().expired_time <= int(time.time()) + 60


def test_a_guest_is_led_back_after_signing_in() -> None:
    assert Client().get("/token?sort=name")["Location"] == "/login?next=/token%3Fsort%3Dname"
