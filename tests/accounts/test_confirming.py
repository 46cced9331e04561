"""What is protected asks again after ten minutes who somebody is, and comes back to where one was."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from django.test import Client

from accounts.factors import services
from accounts.models import User
from audit.services import SYSTEM
from tests.accounts.keys import code

SignIn = Callable[[User], Client]
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PAGE = "/setting/second-factor"


@pytest.fixture
def late(alice: User, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Alice's browser, ten minutes after she signed in."""
    client = signed_in(alice)
    now = time.time()
    monkeypatch.setattr("accounts.confirming.time.time", lambda: now + 600)
    return client


def test_signing_in_counts_for_ten_minutes(alice: User, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(alice)
    now = time.time()
    monkeypatch.setattr("accounts.confirming.time.time", lambda: now + 598)

    assert client.get(PAGE).status_code == 200


def test_after_that_the_password_is_asked_for(late: Client) -> None:
    answer = late.get(f"{PAGE}?a=b")

    assert answer["Location"] == "/confirm?next=%2Fsetting%2Fsecond-factor%3Fa%3Db"
    refused = late.post("/confirm", {"password": "wrong password", "next": PAGE})
    assert (refused.status_code, late.get(PAGE).status_code) == (422, 302)
    done = late.post("/confirm", {"password": "alice's password", "next": PAGE})
    assert (done["Location"], late.get(PAGE).status_code) == (PAGE, 200)


def test_a_form_is_not_sent_again_by_itself(late: Client) -> None:
    answer = late.post(f"{PAGE}/codes", headers={"Referer": f"http://testserver{PAGE}"})
    assert answer["Location"] == "/confirm?next=%2Fsetting%2Fsecond-factor"

    foreign = late.post(f"{PAGE}/codes", headers={"Referer": "https://evil.example/x"})
    assert foreign["Location"] == "/confirm?next=%2F"


def test_htmx_is_told_to_leave_the_page(late: Client) -> None:
    answer = late.post(f"{PAGE}/codes", headers={"HX-Request": "true", "HX-Current-URL": f"http://testserver{PAGE}"})

    assert (answer.status_code, answer["HX-Redirect"]) == (200, "/confirm?next=%2Fsetting%2Fsecond-factor")


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:1"])
def test_it_leads_to_no_other_site(late: Client, wanted: str) -> None:
    assert late.post("/confirm", {"password": "alice's password", "next": wanted})["Location"] == "/"


def test_a_code_of_the_app_confirms_too(late: Client, alice: User) -> None:
    services.add_totp(alice, SYSTEM, SECRET, code(SECRET))
    User.objects.update(totp_counter=0)

    assert late.post("/confirm", {"code": code(SECRET), "next": PAGE}).status_code == 302
    assert late.get(PAGE).status_code == 200


def test_passwords_tried_here_count_with_those_of_signing_in(late: Client) -> None:
    for number in range(30):
        late.post("/confirm", {"password": "wrong password"}, REMOTE_ADDR=f"192.0.2.{number}")

    assert late.post("/confirm", {"password": "alice's password"}).status_code == 429
    body = {"username": "alice", "password": "alice's password"}
    assert Client().post("/api/user/login", body, content_type="application/json").status_code == 429


def test_the_page_is_for_people_who_are_signed_in(db: None) -> None:
    assert Client().get("/confirm")["Location"] == "/login?next=/confirm"
