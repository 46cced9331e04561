"""Registering, a forgotten password, and the personal settings (D8, D9, D18, D19, D24, D42, D43)."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import sessions
from accounts.models import User, UserSession
from accounts.services import create_user
from accounts.wishes import wishes_of
from api import turnstile
from audit.services import SYSTEM
from console.account.device import device
from notices import codes
from notices.codes import Purpose
from notices.models import OutboxMessage
from options.services import set_option
from tests.console.conftest import PASSWORD, signed_in

pytestmark = pytest.mark.django_db

NEW = {"username": "dave", "password": "a good password", "repeated": "a good password"}


@pytest.fixture
def mail(db: None) -> None:
    for key, value in (("SMTPServer", "mail.example"), ("SMTPAccount", "a@mail.example"), ("SMTPToken", "t")):
        set_option(SYSTEM, key, value)


@pytest.fixture
def by_mail(mail: None) -> None:
    set_option(SYSTEM, "EmailVerificationEnabled", "true")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Turnstile is on; the token "good" is accepted."""
    for key, value in (("TurnstileSiteKey", "site"), ("TurnstileSecretKey", "s"), ("TurnstileCheckEnabled", "true")):
        set_option(SYSTEM, key, value)
    seen: list[dict[str, str]] = []

    def post(form: dict[str, str]) -> tuple[int, bytes]:
        seen.append(form)
        return 200, b'{"success": true}' if form["response"] == "good" else b'{"success": false}'

    monkeypatch.setattr(turnstile, "_post", post)
    return seen


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def late(client: Client) -> Client:
    """The same browser, too long after its owner has shown who they are."""
    session = client.session
    session["confirmed_at"] = 0
    session.save()
    return client


# registering


def test_registering_makes_an_account_one_can_sign_in_to() -> None:
    client = Client()

    assert client.post("/register", NEW)["Location"] == "/login"

    assert client.post("/login", {"username": "dave", "password": "a good password"})["Location"] == "/dashboard"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"username": " "}, "This field is required."),
        ({"username": "p\u0430ypal"}, "This cannot be a user name"),
        ({"username": "ALICE"}, "This user name is taken. Choose another one."),
        ({"username": "alice@example.com"}, "This user name is taken. Choose another one."),
        ({"password": "short", "repeated": "short"}, "at least 8 characters"),
        ({"repeated": "another password"}, "The two passwords differ."),
    ],
)
def test_what_is_refused_is_said_at_the_box(alice: User, wrong: dict[str, str], text: str) -> None:
    answer = Client().post("/register", {**NEW, **wrong})

    assert (answer.status_code, User.objects.count()) == (422, 1)
    assert text in text_of(answer)
    assert "a good password" not in text_of(answer)


def test_a_password_may_have_128_characters() -> None:
    long = "x" * 128
    assert Client().post("/register", {**NEW, "password": long, "repeated": long}).status_code == 302
    assert Client().post("/login", {"username": "dave", "password": long}).status_code == 302


def test_closed_registration_makes_nobody() -> None:
    for option in ("RegisterEnabled", "PasswordRegisterEnabled"):
        set_option(SYSTEM, option, "false")
        answer = Client().post("/register", NEW)
        assert (answer.status_code, User.objects.count()) == (422, 0)
        assert "not taken at the moment" in text_of(answer)
        set_option(SYSTEM, option, "true")


def test_the_invitation_counts_thirty_days_in_a_cookie_we_signed(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    set_option(SYSTEM, "QuotaForInviter", "500")
    set_option(SYSTEM, "QuotaForInvitee", "300")
    client = Client()
    cookie = client.get(f"/register?aff={alice.aff_code}").cookies["aff"]
    assert (cookie["max-age"], cookie["httponly"], cookie["samesite"]) == (30 * 24 * 3600, True, "Lax")

    client.post("/register", NEW)

    dave = User.objects.get(username="dave")
    alice.refresh_from_db()
    assert (dave.inviter_id, dave.quota, alice.quota) == (alice.pk, 300, 500)

    forged = Client()
    forged.cookies["aff"] = str(alice.aff_code)
    forged.post("/register", {**NEW, "username": "erin"})
    assert User.objects.get(username="erin").inviter_id == 0

    old = Client()
    now = time.time()
    monkeypatch.setattr("django.core.signing.time.time", lambda: now - 31 * 24 * 3600)
    value = old.get(f"/register?aff={alice.aff_code}").cookies["aff"].value
    monkeypatch.undo()
    old.cookies["aff"] = value
    old.post("/register", {**NEW, "username": "fred"}, REMOTE_ADDR="192.0.2.1")
    assert User.objects.get(username="fred").inviter_id == 0


def test_new_invitation_codes_have_ten_characters(alice: User) -> None:
    assert len(str(alice.aff_code)) == 10


def test_a_mailed_code_is_asked_for_and_used_up(by_mail: None) -> None:
    client = Client()
    sent = client.post("/register/code", {"email": "d@example.com"}, headers={"HX-Request": "true"})
    assert "A code is on its way to d@example.com." in text_of(sent)
    assert OutboxMessage.objects.get().recipient == "d@example.com"
    code = codes.issue(Purpose.ADDRESS, "d@example.com")

    wrong = client.post("/register", {**NEW, "email": "d@example.com", "code": "nothis"})
    assert (wrong.status_code, User.objects.count()) == (422, 0)
    assert "This code is wrong" in text_of(wrong)

    client.post("/register", {**NEW, "email": "d@example.com", "code": f" {code.upper()} "})
    assert User.objects.get().email == "d@example.com"


def test_without_script_the_code_keeps_what_was_typed(by_mail: None) -> None:
    answer = Client().post("/register/code", {"email": "d@example.com", "username": "dave", "password": "a good one"})

    page = text_of(answer)
    assert 'value="d@example.com"' in page
    assert 'value="dave"' in page
    assert "a good one" not in page
    assert "A code is on its way" in page


def test_a_known_address_gets_the_same_answer_as_a_free_one(by_mail: None, alice: User) -> None:
    def ask(address: str) -> str:
        return text_of(Client().post("/register/code", {"email": address}, headers={"HX-Request": "true"}))

    known, free = ask("alice@example.com"), ask("alicf@example.com")

    assert known.replace("alice", "alicf") == free


def test_a_domain_that_is_not_allowed_is_named(by_mail: None) -> None:
    set_option(SYSTEM, "EmailDomainWhitelist", "example.com")
    set_option(SYSTEM, "EmailDomainRestrictionEnabled", "true")

    answer = Client().post("/register/code", {"email": "d@evil.example"}, headers={"HX-Request": "true"})

    assert "Addresses of this domain are not accepted" in text_of(answer)
    assert not OutboxMessage.objects.exists()


def test_turnstile_guards_the_form_and_its_policy_is_open_there_only(asked: list[dict[str, str]]) -> None:
    client = Client()
    policy = client.get("/register")["Content-Security-Policy"]
    assert "script-src 'self' https://challenges.cloudflare.com;" in policy
    assert "frame-src https://challenges.cloudflare.com" in policy
    assert "cloudflare" not in client.get("/login")["Content-Security-Policy"]

    for token in ("", "bad"):
        answer = client.post("/register", {**NEW, "cf-turnstile-response": token})
        assert (answer.status_code, User.objects.count()) == (422, 0)
        assert "The check that you are human did not succeed." in text_of(answer)

    assert client.post("/register", {**NEW, "cf-turnstile-response": "good"}).status_code == 302
    assert [form["response"] for form in asked] == ["bad", "good"]


def test_signing_in_asks_turnstile_after_five_wrong_passwords(alice: User, asked: list[dict[str, str]]) -> None:
    client = Client()
    right = {"username": "alice", "password": PASSWORD}
    for _try in range(5):
        client.post("/login", {**right, "password": "wrong password"})

    assert client.post("/login", right).status_code == 422
    page = client.post("/login", {**right, "password": "wrong password"})
    assert 'data-sitekey="site"' in text_of(page)
    assert client.post("/login", {**right, "cf-turnstile-response": "good"}).status_code == 302


# a forgotten password


def test_asking_for_a_link_says_the_same_of_every_address(mail: None, alice: User) -> None:
    """D8."""
    known, unknown = (Client().post("/reset", {"email": one}) for one in ("alice@example.com", "nobody@example.com"))

    assert re.sub(r'value="[^"]{64}"', "", text_of(known)) == re.sub(r'value="[^"]{64}"', "", text_of(unknown))
    assert "a link is on its way" in text_of(known)
    assert OutboxMessage.objects.count() == 2


def test_the_person_chooses_the_new_password(alice: User) -> None:
    """D9. The address of the link is the reference's."""
    at_home = signed_in(alice)
    token = codes.issue(Purpose.RESET, "alice@example.com")
    link = f"/user/reset?email=alice@example.com&token={token}"
    client = Client()
    page = client.get(link)
    assert (page.status_code, page["Referrer-Policy"]) == (200, "no-referrer")

    fields = {"email": "alice@example.com", "token": token, "password": "quite another", "repeated": "quite another"}
    short = client.post("/user/reset", {**fields, "password": "short", "repeated": "short"})
    assert short.status_code == 422
    assert client.post("/user/reset", fields)["Location"] == "/login"

    assert client.post("/login", {"username": "alice", "password": "quite another"})["Location"] == "/dashboard"
    assert at_home.get("/setting").status_code == 302
    again = Client().post("/user/reset", {**fields, "password": "yet another", "repeated": "yet another"})
    assert (again.status_code, "This link was used before" in text_of(again)) == (422, True)


def test_a_link_of_somebody_else_or_half_a_link_changes_nothing(alice: User, adam: User) -> None:
    token = codes.issue(Purpose.RESET, "alice@example.com")
    fields = {"token": token, "password": "quite another", "repeated": "quite another"}

    for email in ("adam@example.com", "", "alice@example.com.evil"):
        assert Client().post("/user/reset", {**fields, "email": email}).status_code == 422
    assert "not complete" in text_of(Client().get("/user/reset?email=alice@example.com"))
    assert User.objects.get(pk=alice.pk).check_password(PASSWORD)


# personal settings


def test_the_old_address_of_the_profile_leads_there(alice: User) -> None:
    assert signed_in(alice).get("/user/edit")["Location"] == "/setting"


def test_the_page_costs_the_same_however_many_sessions_there_are(alice: User) -> None:
    client = signed_in(alice)
    client.get("/setting")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/setting").status_code == 200
        return len(queries)

    few = cost()
    for _number in range(60):
        signed_in(alice)
    assert cost() == few


def test_name_and_display_name_are_changed_and_the_latter_may_be_emptied(alice: User) -> None:
    """D24."""
    client = late(signed_in(alice))
    fields = {"username": "alicia", "display_name": ""}
    refused = client.post("/setting/profile", fields, headers={"Referer": "http://testserver/setting"})
    assert refused["Location"] == "/confirm?next=%2Fsetting"  # D19

    client.post("/confirm", {"password": PASSWORD})
    assert client.post("/setting/profile", fields)["Location"] == "/setting"

    alice.refresh_from_db()
    assert (alice.username, alice.display_name) == ("alicia", "")


def test_a_name_that_is_taken_is_refused_at_its_box(alice: User, adam: User) -> None:
    answer = signed_in(alice).post("/setting/profile", {"username": "Adam", "display_name": "A"})

    assert (answer.status_code, "This user name is taken" in text_of(answer)) == (422, True)
    assert User.objects.get(pk=alice.pk).username == "alice"


def test_one_session_or_all_others_are_ended_from_the_page(alice: User) -> None:
    here, there, elsewhere = (signed_in(alice) for _ in range(3))
    one = UserSession.objects.get(session_key=there.session.session_key)

    here.post(f"/setting/sessions/{one.pk}/end")
    assert [client.get("/setting").status_code for client in (here, there, elsewhere)] == [200, 302, 200]

    here.post("/setting/sessions/end-others")
    assert [client.get("/setting").status_code for client in (here, elsewhere)] == [200, 302]


def test_a_session_of_somebody_else_is_not_ended(alice: User, adam: User) -> None:
    adams = signed_in(adam)

    signed_in(alice).post(f"/setting/sessions/{sessions.live(adam.pk).get().pk}/end")

    assert adams.get("/setting").status_code == 200


def test_the_system_token_is_made_by_post_and_shown_once(alice: User) -> None:
    """D42."""
    client = signed_in(alice)
    assert "Make a new system token?" in text_of(client.get("/setting/token"))
    assert User.objects.get(pk=alice.pk).access_token_digest is None

    token = re.search(r'value="([0-9a-f]{32})"', text_of(client.post("/setting/token")))
    assert token

    assert Client().get("/api/user/self", headers={"Authorization": token[1]}).json()["data"]["username"] == "alice"
    assert token[1] not in text_of(client.get("/setting"))
    alice.refresh_from_db()
    assert 0 < alice.access_token_created <= alice.access_token_used


@pytest.mark.parametrize(
    ("typed", "kept"), [(("", "points"), None), (("0", "points"), 0), (("2", "dollars"), 1_000_000)]
)
def test_the_reminder_is_ones_own(alice: User, typed: tuple[str, str], kept: int | None) -> None:
    fields = {"remind_below_0": typed[0], "remind_below_1": typed[1]}

    assert signed_in(alice).post("/setting/reminder", fields).status_code == 302

    assert User.objects.get(pk=alice.pk).remind_below == kept


def test_the_appearance_is_kept_here_and_with_the_account(alice: User) -> None:
    client = signed_in(alice)
    wanted = {"theme": "dark", "density": "compact", "page_size": "50", "zone": "Asia/Shanghai"}

    answer = client.post("/setting/appearance", wanted)

    assert wishes_of(alice.pk) == {**wanted, "shortcuts": "off"}
    assert {name: answer.cookies[name].value for name in wanted} == wanted
    assert 'data-theme="dark"' in text_of(client.get("/setting"))
    assert client.post("/setting/appearance", {**wanted, "zone": "Mars"}).status_code == 422


def test_an_address_is_bound_by_the_code_that_was_mailed_to_it(mail: None, alice: User) -> None:
    client = signed_in(alice)
    page = client.post("/setting/email/code", {"email": "new@example.com"})
    assert (page.status_code, 'value="new@example.com"' in text_of(page)) == (200, True)
    code = codes.issue(Purpose.ADDRESS, "new@example.com")

    wrong = client.post("/setting/email", {"email": "new@example.com", "code": "nothis"})
    assert (wrong.status_code, "This code is wrong" in text_of(wrong)) == (422, True)
    client.post("/setting/email", {"email": "new@example.com", "code": code})

    assert User.objects.get(pk=alice.pk).email == "new@example.com"


def test_an_account_is_deleted_by_typing_its_name(alice: User) -> None:
    client = signed_in(alice)
    wrong = client.post("/setting/delete", {"typed": "Alice"})
    assert (wrong.status_code, "Nothing was deleted" in text_of(wrong)) == (422, True)

    assert client.post("/setting/delete", {"typed": "alice"})["Location"] == "/login"

    buried = User.objects.get(pk=alice.pk)
    assert (buried.status, buried.email, UserSession.objects.filter(user_id=alice.pk).exists()) == (3, "", False)
    assert client.get("/setting").status_code == 302


def test_deleting_asks_who_it_is_and_never_deletes_root(alice: User, at_root: Client, root: User) -> None:
    assert late(signed_in(alice)).post("/setting/delete", {"typed": "alice"})["Location"].startswith("/confirm")
    assert at_root.post("/setting/delete", {"typed": "root"}).status_code == 422

    assert not User.objects.filter(status=3).exists()


def test_an_account_without_a_password_sets_one_after_a_recent_proof() -> None:
    user = create_user(username="gina", password=None)
    client = signed_in(user)

    answer = client.post("/setting/password", {"password": "a good password", "repeated": "a good password"})

    assert answer["Location"] == "/setting"
    assert User.objects.get(pk=user.pk).check_password("a good password")
    assert late(client).get("/setting").status_code == 200


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Windows"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome, Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari, iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", ""),
    ],
)
def test_a_browser_is_named_in_words(says: str, words: str) -> None:
    assert device(says) == words


def test_how_a_session_was_begun_is_said_in_words(alice: User) -> None:
    client = signed_in(alice)
    UserSession.objects.update(method="password+totp", user_agent="curl/8.5.0")

    assert "password, authenticator app" in text_of(client.get("/setting"))


def test_an_invitation_code_is_drawn_by_asking_for_it_and_not_by_looking(at_root: Client, root: User) -> None:
    """D42."""
    assert "Make an invitation link" in text_of(at_root.get("/setting"))
    assert User.objects.get(pk=root.pk).aff_code is None

    at_root.post("/setting/invitation")

    code = User.objects.get(pk=root.pk).aff_code
    assert f"http://testserver/register?aff={code}" in text_of(at_root.get("/setting"))
