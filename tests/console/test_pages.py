"""Home, sign-in, password change and panel, as a browser gets them."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.utils import translation
from django.views.defaults import server_error

from accounts.models import User
from accounts.services import create_token
from audit.models import AuditEntry
from audit.services import SYSTEM
from billing.models import Log, LogType
from options.services import set_option
from tests.console.conftest import PASSWORD, signed_in

pytestmark = pytest.mark.django_db


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def sign_in(client: Client, name: str, password: str = PASSWORD, **fields: str) -> Any:
    return client.post("/login", {"username": name, "password": password, **fields})


def test_home_credits_one_api_with_a_link() -> None:
    page = text_of(Client().get("/"))

    assert '<a href="https://github.com/songquanpeng/one-api"' in page


def test_footer_option_replaces_the_credit() -> None:
    set_option(SYSTEM, "Footer", "<b>Our own</b>")

    page = text_of(Client().get("/"))

    assert "<b>Our own</b>" in page
    assert "github.com/songquanpeng" not in page


def test_home_content_and_notice_are_shown_as_text() -> None:
    set_option(SYSTEM, "HomePageContent", "first\n<script>alert(1)</script>")
    set_option(SYSTEM, "Notice", "<img src=x onerror=alert(2)>")

    page = text_of(Client().get("/"))

    assert "first<br>&lt;script&gt;alert(1)" in page
    assert "&lt;img src=x" in page
    assert "<script>alert" not in page


def test_home_content_that_is_an_address_becomes_a_link() -> None:
    set_option(SYSTEM, "HomePageContent", "https://welcome.example/page")

    assert '<a href="https://welcome.example/page"' in text_of(Client().get("/"))


def test_a_top_up_link_that_is_a_script_is_not_shown(alice: User) -> None:
    set_option(SYSTEM, "TopUpLink", "javascript:alert(1)")

    assert "javascript:" not in text_of(Client().get("/"))
    assert "javascript:" not in text_of(signed_in(alice).get("/panel"))


@pytest.mark.parametrize("address", ["/", "/login", "/panel", "/setting/password", "/nowhere"])
def test_pages_need_nothing_inline_and_nothing_from_outside(alice: User, address: str) -> None:
    client = Client() if address == "/login" else signed_in(alice)
    answer = client.get(address)
    page = text_of(answer)

    assert "unsafe-inline" not in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert "no-store" in answer["Cache-Control"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script", page)
    assert not re.search(r'(src|<link[^>]*href)="(https?:)?//', page)


def test_a_logo_by_link_opens_the_policy_for_that_origin_alone() -> None:
    set_option(SYSTEM, "Logo", "https://images.example/logo.png?x=1")

    assert "img-src 'self' data: https://images.example;" in Client().get("/")["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["alice", "ALICE", "alice@example.com"])
def test_name_or_address_signs_in(alice: User, name: str) -> None:
    client = Client()

    answer = sign_in(client, name)

    assert (answer.status_code, answer["Location"]) == (302, "/panel")
    cookie = client.cookies["session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert client.get("/panel").status_code == 200


def test_a_wrong_password_says_so_and_signs_nobody_in(alice: User) -> None:
    client = Client()

    answer = sign_in(client, "alice", "wrong-password")

    assert answer.status_code == 422
    assert "The name or the password is wrong" in text_of(answer)
    assert "wrong-password" not in text_of(answer)
    assert client.get("/panel").status_code == 302


def test_empty_boxes_name_what_is_missing() -> None:
    page = text_of(sign_in(Client(), "", ""))

    assert "Enter your password." in page
    assert 'aria-invalid="true"' in page


def test_a_disabled_account_is_refused_like_a_wrong_password(alice: User) -> None:
    User.objects.update(status=2)

    assert "The name or the password is wrong" in text_of(sign_in(Client(), "alice"))


def test_signing_in_by_password_can_be_switched_off(alice: User) -> None:
    set_option(SYSTEM, "PasswordLoginEnabled", "false")

    assert "switched off" in text_of(sign_in(Client(), "alice"))


def test_signing_in_is_throttled(alice: User) -> None:
    client = Client()
    answers = [sign_in(client, "alice", "wrong-password").status_code for _ in range(21)]

    assert answers == [422] * 20 + [429]
    assert sign_in(client, "alice").status_code == 429


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:///evil.example"],
)
def test_next_leads_nowhere_else(alice: User, wanted: str) -> None:
    assert sign_in(Client(), "alice", next=wanted)["Location"] == "/panel"


def test_next_leads_to_a_page_of_ours(alice: User) -> None:
    assert sign_in(Client(), "alice", next="/setting/password")["Location"] == "/setting/password"


def test_forms_need_their_csrf_token(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)

    answer = sign_in(client, "alice")

    assert answer.status_code == 403
    assert "Form expired" in text_of(answer)


def test_logging_out_takes_a_post(alice: User) -> None:
    client = signed_in(alice)

    assert client.get("/logout").status_code == 405
    assert client.get("/panel").status_code == 200
    assert client.post("/logout").status_code == 302
    assert client.get("/panel").status_code == 302


def change(client: Client, old: str, new: str, repeated: str | None = None) -> Any:
    return client.post("/setting/password", {"old_password": old, "new_password": new, "repeated": repeated or new})


def test_a_handed_out_password_must_be_changed_first(alice: User) -> None:
    User.objects.update(must_change_password=True, role=100)
    client = Client()

    assert sign_in(client, "alice")["Location"] == "/setting/password"
    for address in ("/", "/panel", "/django-admin/", "/django-admin/options/option/"):
        assert client.get(address)["Location"] == "/setting/password"
    assert change(client, PASSWORD, "quite another one")["Location"] == "/panel"
    assert client.get("/panel").status_code == 200


def test_a_new_password_ends_every_other_session(alice: User) -> None:
    here, elsewhere = Client(), Client()
    sign_in(here, "alice")
    sign_in(elsewhere, "alice")
    before = here.cookies["session"].value

    change(here, PASSWORD, "quite another one")

    assert here.cookies["session"].value != before
    assert here.get("/panel").status_code == 200
    assert elsewhere.get("/panel").status_code == 302
    assert sign_in(Client(), "alice", "quite another one").status_code == 302


@pytest.mark.parametrize(
    ("old", "new", "repeated", "says"),
    [
        ("wrong-password", "quite another one", None, "This is not your present password."),
        (PASSWORD, "short", None, "at least 8 characters"),
        (PASSWORD, "quite another one", "quite another two", "The two passwords differ."),
        (PASSWORD, PASSWORD, None, "Choose a password other than the present one."),
    ],
)
def test_a_refused_password_says_why(alice: User, old: str, new: str, repeated: str | None, says: str) -> None:
    answer = change(signed_in(alice), old, new, repeated)

    assert answer.status_code == 422
    assert says in text_of(answer)
    assert User.objects.get().check_password(PASSWORD)


def test_a_key_is_shown_once_and_only_to_its_owner(alice: User, adam: User) -> None:
    token = create_token(user_id=alice.pk, name="work", unlimited_quota=True)
    client = signed_in(alice)

    assert token.key not in text_of(client.get("/panel"))
    assert f"sk-{token.key}" in text_of(client.post(f"/panel/tokens/{token.pk}/reveal"))
    assert token.key not in text_of(client.get("/panel"))
    assert signed_in(adam).post(f"/panel/tokens/{token.pk}/reveal").status_code == 404
    assert client.get(f"/panel/tokens/{token.pk}/reveal").status_code == 405
    assert AuditEntry.objects.filter(action="token.reveal", actor_id=alice.pk).count() == 1


def test_a_new_key_is_shown_as_it_is_made(alice: User) -> None:
    answer = signed_in(alice).post("/panel/tokens", {"name": "laptop"})

    token = alice.tokens.get()
    assert (token.name, token.unlimited_quota) == ("laptop", True)
    assert f"sk-{token.key}" in text_of(answer)


def test_the_panel_shows_ones_own_money_and_log(alice: User, adam: User) -> None:
    User.objects.filter(pk=alice.pk).update(quota=1_250_000, held=250_000)  # 500,000 points are a dollar
    now = int(time.time())
    Log.objects.create(
        user_id=alice.pk, created_at=now, type=LogType.CONSUME, model_name="gpt-mine", quota=7, channel_id=4711
    )
    Log.objects.create(user_id=adam.pk, created_at=now, type=LogType.CONSUME, model_name="gpt-theirs", quota=7)

    page = text_of(signed_in(alice).get("/panel"))

    assert '<data value="1000000" title="1000000 points">$2.00</data>' in page
    assert "$0.000014" in page
    assert "gpt-mine" in page
    assert "gpt-theirs" not in page
    assert "4711" not in page
    assert "/django-admin/" not in page


def test_the_panel_leads_root_to_the_tables(root: User) -> None:
    assert 'href="/django-admin/channels_app/channel/"' in text_of(signed_in(root).get("/panel"))


def test_the_panel_costs_the_same_however_much_it_shows(alice: User, django_assert_max_num_queries: Any) -> None:
    for number in range(30):
        create_token(user_id=alice.pk, name=f"key {number}", unlimited_quota=True)
        Log.objects.create(user_id=alice.pk, created_at=1, type=LogType.CONSUME)
    client = signed_in(alice)

    with django_assert_max_num_queries(7):
        client.get("/panel")


def test_pages_speak_chinese_to_who_asks_for_it(alice: User) -> None:
    page = text_of(Client().get("/login", headers={"accept-language": "zh-CN,zh;q=0.9"}))

    assert '<html lang="zh-hans">' in page
    assert "登录" in page
    assert "Password" not in page


def test_the_chosen_language_stays() -> None:
    client = Client()

    client.post("/i18n/setlang", {"language": "zh-hans", "next": "/login"})

    assert "密码" in text_of(client.get("/login"))


@pytest.mark.django_db(databases=[])
def test_the_page_of_an_error_needs_no_database() -> None:
    with translation.override("en"):
        answer = server_error(RequestFactory().get("/"))

    assert answer.status_code == 500
    assert "Something went wrong" in answer.content.decode()


def test_an_unknown_address_is_a_404_with_the_way_home() -> None:
    answer = Client().get("/nowhere")

    assert answer.status_code == 404
    assert 'href="/"' in text_of(answer)
