from __future__ import annotations

from django.test import Client

from accounts.models import User
from accounts.services import update_user
from audit.services import SYSTEM
from tests.api.conftest import Caller


def login(client: Client, name: str, password: str, **headers: str):
    body = {"username": name, "password": password}
    return client.post("/api/user/login?turnstile=", body, content_type="application/json", headers=headers)


def test_signing_in_tells_who_one_is_and_nothing_else(alice: User) -> None:
    answer = login(Client(), "alice", "alice's password").json()

    data = answer["data"]
    assert answer["success"]
    assert answer["message"] == ""
    assert (data["id"], data["username"], data["role"], data["status"]) == (alice.pk, "alice", 1, 1)
    assert (data["quota"], data["access_token"], data["password"], data["aff_code"]) == (0, "", "", "")


def test_the_cookie_is_named_session_and_out_of_reach_of_scripts(alice: User) -> None:
    cookie = login(Client(), "alice", "alice's password").cookies["session"]

    assert (cookie["path"], cookie["httponly"], cookie["samesite"], cookie["secure"]) == ("/", True, "Lax", "")
    assert cookie["max-age"] == 30 * 24 * 3600


def test_the_cookie_is_secure_over_tls(alice: User) -> None:
    client = Client()
    body = {"username": "alice", "password": "alice's password"}
    answer = client.post("/api/user/login", body, content_type="application/json", secure=True)

    assert answer.cookies["session"]["secure"] is True


def test_an_email_address_signs_in_too_whatever_its_case(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="A@example.com", email_key="a@example.com")

    assert login(Client(), "a@EXAMPLE.com", "alice's password").json()["success"]


def test_wrong_password_unknown_name_and_disabled_account_are_told_alike(alice: User, disabled: Caller) -> None:
    answers = [
        login(Client(), "alice", "wrong password").json(),
        login(Client(), "nobody", "wrong password").json(),
        login(Client(), "dora", "dora's password").json(),
    ]

    assert answers == [{"success": False, "message": "用户名或密码错误，或用户已被封禁"}] * 3


def test_an_empty_name_or_password_is_an_invalid_parameter_in_the_callers_language(alice: User) -> None:
    assert login(Client(), "alice", "").json()["message"] == "invalid parameter"
    assert login(Client(), "", "x", **{"Accept-Language": "zh-CN,zh;q=0.9"}).json()["message"] == "无效的参数"


def test_signing_out_ends_the_session(browser, alice: User) -> None:
    client = browser(alice)
    key = client.cookies["session"].value

    assert client.get("/api/user/logout").json() == {"success": True, "message": ""}

    client.cookies["session"] = key
    assert client.get("/api/user/self").status_code == 401


def test_a_disabled_account_is_told_once_and_then_is_nobody(browser, alice: User, root: Caller) -> None:
    client = browser(alice)
    update_user(root.user, SYSTEM, alice.pk, {"status": 2})

    first, second = client.get("/api/user/self"), client.get("/api/user/self")

    assert (first.status_code, first.json()["message"]) == (200, "用户已被封禁")
    assert second.status_code == 401


def test_a_session_does_not_come_back_to_life_with_the_account(browser, alice: User, root: Caller) -> None:
    client = browser(alice)
    update_user(root.user, SYSTEM, alice.pk, {"status": 2})
    update_user(root.user, SYSTEM, alice.pk, {"status": 1})

    assert client.get("/api/user/self").status_code == 401


def test_a_new_role_ends_the_sessions(browser, alice: User, root: Caller) -> None:
    client = browser(alice)

    assert root.post("user/manage", {"username": "alice", "action": "promote"})["data"]["role"] == 10

    assert client.get("/api/user/self").status_code == 401


def test_a_new_password_keeps_this_session_and_ends_the_others(browser, alice: User) -> None:
    here, elsewhere = browser(alice), browser(alice)

    changed = here.put("/api/user/self", {"password": "another password"}, content_type="application/json")

    assert changed.json() == {"success": True, "message": ""}
    assert here.get("/api/user/self").json()["success"]
    assert elsewhere.get("/api/user/self").status_code == 401


def test_a_call_from_another_site_may_not_use_the_cookie(browser, alice: User) -> None:
    client = browser(alice)

    def ask(**headers: str) -> str:
        return str(client.get("/api/user/self", headers=headers).json()["message"])

    assert ask(Origin="http://testserver") == ""
    assert ask(Referer="https://testserver/panel") == ""
    for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Referer": "http://testserver.evil/"}):
        assert ask(**foreign) == "无权进行此操作，请求来自其他网站"


def test_a_browser_that_hides_where_it_comes_from_is_believed_about_the_rest(browser, alice: User) -> None:
    client = browser(alice)

    def asked(**headers: str) -> bool:
        return bool(client.get("/api/user/self", headers=headers).json()["success"])

    assert asked(**{"Sec-Fetch-Site": "same-origin", "Origin": "https://behind-a-proxy.example"})
    assert not asked(**{"Sec-Fetch-Site": "cross-site"})


def test_the_configured_address_counts_as_our_own_site(browser, alice: User, root: Caller) -> None:
    root.put("option", {"key": "ServerAddress", "value": "https://one.example"})

    answer = browser(alice).get("/api/user/self", headers={"Origin": "https://one.example"})

    assert answer.json()["success"]


def test_the_twenty_first_sign_in_within_twenty_minutes_is_refused_with_an_empty_429(alice: User) -> None:
    client = Client()
    for number in range(20):
        assert login(client, f"user{number}", "wrong password").status_code == 200

    refused = login(client, "alice", "alice's password")

    assert (refused.status_code, refused.content) == (429, b"")


def test_an_account_is_not_guessed_from_many_addresses(alice: User) -> None:
    client = Client()
    for number in range(30):
        client.post(
            "/api/user/login",
            {"username": "alice", "password": "wrong password"},
            content_type="application/json",
            REMOTE_ADDR=f"192.0.2.{number}",
        )

    assert login(client, "alice", "alice's password").status_code == 429


def test_password_sign_in_can_be_switched_off(alice: User, root: Caller) -> None:
    root.put("option", {"key": "PasswordLoginEnabled", "value": "false"})

    assert login(Client(), "alice", "alice's password").json()["message"] == "管理员关闭了密码登录"
