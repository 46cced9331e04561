"""Home, sign-in, password change and the frame around every page, as a browser gets them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.utils import translation
from django.views.defaults import server_error

from accounts.models import User
from audit.services import SYSTEM
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


def test_home_content_and_notice_are_markdown_without_what_could_act() -> None:
    set_option(SYSTEM, "HomePageContent", "# Welcome\n\n<b>first</b><script>alert(1)</script>")
    set_option(SYSTEM, "Notice", "*Closed* <img src=x onerror=alert(2)> [here](javascript:alert(3))")

    page = text_of(Client().get("/"))

    assert "<h1>Welcome</h1>" in page
    assert "<b>first</b>" in page
    assert "<em>Closed</em>" in page
    assert "<script>alert" not in page
    assert "onerror" not in page
    assert 'href="javascript' not in page


def test_home_content_that_is_an_address_becomes_a_link() -> None:
    set_option(SYSTEM, "HomePageContent", "https://welcome.example/page")

    assert '<a href="https://welcome.example/page"' in text_of(Client().get("/"))


def test_a_top_up_link_that_is_a_script_is_not_shown(alice: User) -> None:
    set_option(SYSTEM, "TopUpLink", "javascript:alert(1)")

    assert "javascript:" not in text_of(Client().get("/"))
    assert "javascript:" not in text_of(signed_in(alice).get("/token"))


@pytest.mark.parametrize("address", ["/", "/login", "/token", "/setting/password", "/nowhere"])
def test_pages_need_nothing_inline_and_nothing_from_outside(alice: User, address: str) -> None:
    client = Client() if address == "/login" else signed_in(alice)
    answer = client.get(address)
    page = text_of(answer)

    assert "unsafe-inline" not in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert "no-store" in answer["Cache-Control"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=)", page)
    assert not re.search(r'(src|<link[^>]*href)="(https?:)?//', page)


def test_a_logo_by_link_opens_the_policy_for_that_origin_alone() -> None:
    set_option(SYSTEM, "Logo", "https://images.example/logo.png?x=1")

    assert "img-src 'self' data: https://images.example;" in Client().get("/")["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["alice", "ALICE", "alice@example.com"])
def test_name_or_address_signs_in(alice: User, name: str) -> None:
    client = Client()

    answer = sign_in(client, name)

    assert (answer.status_code, answer["Location"]) == (302, "/dashboard")
    cookie = client.cookies["session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert client.get("/token").status_code == 200


def test_a_wrong_password_says_so_and_signs_nobody_in(alice: User) -> None:
    client = Client()

    answer = sign_in(client, "alice", "wrong-password")

    assert answer.status_code == 422
    assert "The name or the password is wrong" in text_of(answer)
    assert "wrong-password" not in text_of(answer)
    assert client.get("/token").status_code == 302


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
    assert sign_in(Client(), "alice", next=wanted)["Location"] == "/dashboard"


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
    assert client.get("/token").status_code == 200
    assert client.post("/logout").status_code == 302
    assert client.get("/token").status_code == 302


def change(client: Client, old: str, new: str, repeated: str | None = None) -> Any:
    return client.post("/setting/password", {"old_password": old, "new_password": new, "repeated": repeated or new})


def test_a_handed_out_password_must_be_changed_first(alice: User) -> None:
    User.objects.update(must_change_password=True, role=100)
    client = Client()

    assert sign_in(client, "alice")["Location"] == "/setting/password"
    for address in ("/", "/token", "/django-admin/", "/django-admin/options/option/"):
        assert client.get(address)["Location"] == "/setting/password"
    assert change(client, PASSWORD, "quite another one")["Location"] == "/dashboard"
    assert client.get("/token").status_code == 200


def test_a_new_password_ends_every_other_session(alice: User) -> None:
    here, elsewhere = Client(), Client()
    sign_in(here, "alice")
    sign_in(elsewhere, "alice")
    before = here.cookies["session"].value

    change(here, PASSWORD, "quite another one")

    assert here.cookies["session"].value != before
    assert here.get("/token").status_code == 200
    assert elsewhere.get("/token").status_code == 302
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


def test_pages_speak_chinese_to_who_asks_for_it(alice: User) -> None:
    page = text_of(Client().get("/login", headers={"accept-language": "zh-CN,zh;q=0.9"}))

    assert '<html lang="zh-hans"' in page
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
