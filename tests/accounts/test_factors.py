"""The second step of signing in: codes good once, counted, and asked for at every door."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.external.github import METHOD as GITHUB
from accounts.external.identity import Identity
from accounts.external.linking import bind
from accounts.factors import policy, services, totp
from accounts.factors.checking import check_code
from accounts.models import Role, User
from accounts.refusals import FactorExists, LastMethod, NotFound, NotPermitted, WrongSecondFactor
from accounts.services import create_user, delete_self
from api.windows import TooMany
from audit.models import AuditEntry
from audit.services import SYSTEM
from options.services import set_option
from tests.accounts.conftest import go
from tests.accounts.keys import code
from tests.accounts.providers import Provider

SignIn = Callable[[User], Client]
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def codes(alice: User) -> list[str]:
    """Alice's recovery codes, as her authenticator app was set up a while ago."""
    made = services.add_totp(alice, SYSTEM, SECRET, code(SECRET))
    User.objects.update(totp_counter=0)
    return made


def login(client: Client, **more: str) -> dict[str, Any]:
    body = {"username": "alice", "password": "alice's password", **more}
    return client.post("/api/user/login", body, content_type="application/json").json()  # type: ignore[no-any-return]


def first_step(client: Client, target: str = "") -> Any:
    return client.post("/login", {"username": "alice", "password": "alice's password", "next": target})


def who(client: Client) -> str:
    answer = client.get("/api/user/self")
    return str(answer.json()["data"]["username"]) if answer.status_code == 200 else "nobody"


def test_a_password_alone_signs_nobody_in_who_has_an_app(alice: User, codes: list[str]) -> None:
    client = Client()

    answer = first_step(client, "/setting/password")

    assert (answer.status_code, answer["Location"]) == (302, "/login/verify")
    assert who(client) == "nobody"
    assert client.get("/token").status_code == 302

    done = client.post("/login/verify", {"code": code(SECRET)})

    assert (done.status_code, done["Location"], who(client)) == (302, "/setting/password", "alice")


def test_the_cookie_changes_at_both_steps(alice: User, codes: list[str]) -> None:
    client = Client()
    client.get("/api/oauth/state")
    keys = [client.cookies["session"].value]
    first_step(client)
    keys.append(client.cookies["session"].value)
    client.post("/login/verify", {"code": code(SECRET)})
    keys.append(client.cookies["session"].value)

    assert len(set(keys)) == 3


def test_a_code_signs_in_once(alice: User, codes: list[str]) -> None:
    shown = code(SECRET)

    assert login(Client(), code=shown)["success"] is True
    assert login(Client(), code=shown) == {"success": False, "message": "两步验证码错误或已过期"}


def test_an_older_code_is_good_no_more_once_a_newer_was_taken(alice: User, codes: list[str]) -> None:
    assert totp.check(alice.pk, code(SECRET, 1))
    assert not totp.check(alice.pk, code(SECRET))


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_half_a_minute_off(
    alice: User, codes: list[str], steps: int, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = time.time() // 30 * 30 + 15  # the app and the server, which read it one after the other, in the same step
    monkeypatch.setattr(time, "time", lambda: middle)

    assert totp.check(alice.pk, code(SECRET, steps)) is taken


def test_a_recovery_code_signs_in_once_and_there_are_ten(alice: User, codes: list[str]) -> None:
    assert (len(codes), {len(one) for one in codes}) == (10, {10})

    assert login(Client(), code=f" {codes[3][:5]} {codes[3][5:]} ")["success"] is True
    assert login(Client(), code=codes[3])["success"] is False
    assert services.factors_of(alice.pk).codes_left == 9


def test_new_recovery_codes_replace_the_old(alice: User, codes: list[str]) -> None:
    fresh = services.renew_codes(alice, SYSTEM)

    assert not set(fresh) & set(codes)
    with pytest.raises(WrongSecondFactor):
        check_code(alice, codes[0])
    assert check_code(alice, fresh[0]) == "recovery_codes"


def test_the_eleventh_code_in_twenty_minutes_is_refused_even_if_right(alice: User, codes: list[str]) -> None:
    for _try in range(10):
        with pytest.raises(WrongSecondFactor):
            check_code(alice, "000000")

    with pytest.raises(TooMany):
        check_code(alice, code(SECRET))
    client = Client(REMOTE_ADDR="192.0.2.9")
    first_step(client)
    assert client.post("/login/verify", {"code": code(SECRET)}).status_code == 429
    assert who(client) == "nobody"


def test_wrong_codes_are_told_on_the_form(alice: User, codes: list[str]) -> None:
    client = Client()
    first_step(client)

    answer = client.post("/login/verify", {"code": "000000"})

    assert (answer.status_code, who(client)) == (422, "nobody")
    assert "This is not right" in answer.content.decode()


def test_the_second_step_must_come_within_ten_minutes(
    alice: User, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    first_step(client)
    now = time.time()
    monkeypatch.setattr("accounts.factors.pending.time.time", lambda: now + 601)

    answer = client.post("/login/verify", {"code": code(SECRET, 20)})

    assert (answer["Location"], who(client)) == ("/login?expired=true", "nobody")


def test_a_password_that_was_changed_meanwhile_is_no_first_step(alice: User, codes: list[str]) -> None:
    client = Client()
    first_step(client)
    alice.set_password("another password")
    alice.save(update_fields=["password"])

    client.post("/login/verify", {"code": code(SECRET)})

    assert who(client) == "nobody"


def test_the_api_says_what_is_missing(alice: User, codes: list[str]) -> None:
    assert login(Client()) == {
        "success": False,
        "message": "该账户已启用两步验证，请在登录页面登录，或在 code 中提供验证码",
    }
    assert login(Client(), password="wrong password", code=code(SECRET))["message"].startswith("用户名或密码错误")


def test_signing_in_with_a_provider_asks_for_the_second_step_too(
    alice: User, codes: list[str], provider: Provider
) -> None:
    bind(alice.pk, GITHUB, Identity("583231"), SYSTEM)
    client = Client()

    answer = go(client, provider, "github")

    assert (answer["success"], who(client)) == (False, "nobody")
    client.post("/login/verify", {"code": code(SECRET)})
    assert who(client) == "alice"


def test_an_access_token_needs_no_second_step(alice: User, codes: list[str]) -> None:
    client = Client()
    client.force_login(alice)
    token = client.get("/api/user/token").json()["data"]

    assert Client().get("/api/user/self", headers={"Authorization": token}).json()["data"]["username"] == "alice"


def test_the_secret_is_nowhere_in_clear(alice: User, codes: list[str], signed_in: SignIn, bob: User) -> None:
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert SECRET not in stored
    assert '"v1:' in stored.replace("'", '"')

    client = signed_in(bob)
    shown = re.search(r'id="secret"[^>]* value="([A-Z2-7]{32})"', client.get("/setting/second-factor").content.decode())
    assert shown
    assert shown[1] not in str(dict(client.session))


def test_setting_an_app_up_takes_a_right_code_and_shows_the_recovery_codes_once(bob: User, signed_in: SignIn) -> None:
    client = signed_in(bob)
    page = client.get("/setting/second-factor").content.decode()
    secret = re.search(r'id="secret"[^>]* value="([A-Z2-7]{32})"', page)[1]  # type: ignore[index]
    assert "<svg" in page

    assert client.post("/setting/second-factor/app", {"code": "000000"}).status_code == 422
    assert not policy.has_factor(bob.pk)
    used = code(secret)
    done = client.post("/setting/second-factor/app", {"code": used})

    shown = re.findall(r"<code>(\d{10})</code>", done.content.decode())
    assert len(shown) == 10
    assert check_code(bob, shown[0]) == "recovery_codes"
    assert shown[1] not in client.get("/setting/second-factor").content.decode()
    with pytest.raises(WrongSecondFactor):
        check_code(bob, used)


def test_a_second_app_is_refused(alice: User, codes: list[str]) -> None:
    with pytest.raises(FactorExists):
        services.add_totp(alice, SYSTEM, SECRET, code(SECRET, 1))


def test_with_the_last_factor_go_the_recovery_codes(alice: User, codes: list[str]) -> None:
    app = services.factors_of(alice.pk).totp
    assert app is not None

    services.remove(alice, SYSTEM, app.pk)

    assert not Authenticator.objects.exists()
    assert login(Client())["success"] is True


def test_nobody_removes_the_factor_of_somebody_else(alice: User, bob: User, codes: list[str]) -> None:
    app = services.factors_of(alice.pk).totp
    assert app is not None

    with pytest.raises(NotFound):
        services.remove(bob, SYSTEM, app.pk)

    assert policy.has_factor(alice.pk)


def test_the_last_way_in_stays(alice: User) -> None:
    alice.set_unusable_password()
    alice.save(update_fields=["password"])
    key = Authenticator.objects.create(user=alice, type=Authenticator.Type.WEBAUTHN, data={"name": "k"})

    with pytest.raises(LastMethod):
        services.remove(alice, SYSTEM, key.pk)

    assert Authenticator.objects.filter(pk=key.pk).exists()


def test_root_resets_the_factors_of_another_and_nobody_else_does(alice: User, bob: User, codes: list[str]) -> None:
    root = create_user(username="ruth", password="ruth's password", role=Role.ROOT)
    adam = create_user(username="adam", password="adam's password", role=Role.ADMIN)

    for by in (bob, adam):
        with pytest.raises(NotPermitted):
            services.reset(by, SYSTEM, alice.pk)
    with pytest.raises(NotPermitted):
        services.reset(root, SYSTEM, root.pk)
    assert policy.has_factor(alice.pk)

    assert services.reset(root, SYSTEM, alice.pk) == 1
    assert login(Client())["success"] is True
    entry = AuditEntry.objects.get(action="user.factor.reset")
    assert (entry.target, entry.detail) == (f"user:{alice.pk}", {"removed": 1})


def test_deletion_takes_factors_and_sessions_along(alice: User, codes: list[str]) -> None:
    client = Client()
    login(client, code=code(SECRET))

    delete_self(alice, SYSTEM)

    assert not Authenticator.objects.exists()
    assert who(client) == "nobody"


# the operator's policy


@pytest.fixture
def adam(db: None) -> User:
    return create_user(username="adam", password="adam's password", role=Role.ADMIN)


def test_an_administrator_without_a_factor_is_sent_to_set_one_up(adam: User, alice: User, signed_in: SignIn) -> None:
    client, other = signed_in(adam), signed_in(alice)
    set_option(SYSTEM, "AdminMfaRequired", "true")

    for page in ("/", "/token", "/django-admin/", "/setting"):
        assert client.get(page)["Location"] == "/setting/second-factor", page
    assert client.get("/setting/second-factor").status_code == 200
    assert client.get("/setting/password").status_code == 200
    assert other.get("/token").status_code == 200


def test_who_owes_a_factor_is_told_what_a_new_passkey_needs_and_gets_no_further(adam: User, signed_in: SignIn) -> None:
    client = signed_in(adam)
    set_option(SYSTEM, "AdminMfaRequired", "true")

    asked = client.post("/login/passkey/options", {"purpose": "register"})

    assert (asked.status_code, "challenge" in asked.content.decode()) == (200, True)
    for page in ("/login/passkey", "/login/verify", "/login/wechat", "/setting/wechat", "/setting/token"):
        assert client.post(page)["Location"] == "/setting/second-factor", page


def test_the_api_refuses_the_session_of_such_an_administrator_and_takes_the_access_token(
    adam: User, signed_in: SignIn
) -> None:
    client = signed_in(adam)
    token = client.get("/api/user/token").json()["data"]
    set_option(SYSTEM, "AdminMfaRequired", "true")

    refused = client.get("/api/user/")

    assert (refused.status_code, refused.json()) == (
        401,
        {"success": False, "message": "管理员要求启用两步验证，请先在网页上完成设置"},
    )
    assert Client().get("/api/user/", headers={"Authorization": token}).json()["success"] is True


def test_with_a_factor_an_administrator_goes_on(adam: User, signed_in: SignIn) -> None:
    client = signed_in(adam)
    set_option(SYSTEM, "AdminMfaRequired", "true")

    services.add_totp(adam, SYSTEM, SECRET, code(SECRET))

    assert client.get("/token").status_code == 200
    assert client.get("/api/user/").json()["success"] is True


def test_factors_are_no_raw_table(db: None, signed_in: SignIn) -> None:
    """They would be made and changed there without the proofs their pages ask for."""
    client = signed_in(create_user(username="root", password="root's password", role=Role.ROOT))

    assert client.get("/django-admin/mfa/authenticator/").status_code == 404
    assert client.get("/django-admin/account/emailaddress/").status_code == 404
