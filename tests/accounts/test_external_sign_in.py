"""Signing in with an account elsewhere (management contract, section 7); the provider is a server on loopback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Token, User, UserStatus
from accounts.services import access_token_digest, create_user
from audit.services import SYSTEM
from billing.models import LedgerEntry, Log
from options.services import set_option
from tests.accounts.conftest import PEOPLE, come_back, go, state_of
from tests.accounts.providers import Provider

NAMES = list(PEOPLE)
WITH_STATE = ["github", "lark", "oidc"]
BANNED = {"success": False, "message": "用户已被封禁"}
OFF = {
    "github": "管理员未开启通过 GitHub 登录以及注册",
    "lark": "管理员未开启通过飞书登录以及注册",
    "oidc": "管理员未开启通过 OIDC 登录以及注册",
    "wechat": "管理员未开启通过微信登录以及注册",
}
TAKEN = {"github": "该 GitHub 账户已被绑定", "lark": "该飞书账户已被绑定", "oidc": "该 OIDC 账户已被绑定"}


@pytest.mark.parametrize("name", NAMES)
def test_the_first_time_makes_an_account_and_the_next_finds_it(provider: Provider, name: str) -> None:
    client = Client()

    answer = go(client, provider, name)

    user = User.objects.get(**{PEOPLE[name][1]: PEOPLE[name][2]})
    assert (answer["success"], answer["message"]) == (True, "")
    told = {key: value for key, value in answer["data"].items() if value}
    assert told == {
        "id": user.pk,
        "username": user.username,
        "display_name": "WeChat User" if name == "wechat" else "Mona",
        "role": 1,
        "status": 1,
    }
    assert client.get("/api/user/self").json()["data"]["id"] == user.pk
    assert not user.has_usable_password()
    assert go(Client(), provider, name)["data"]["id"] == user.pk
    assert User.objects.count() == 1


def test_names_are_drawn_after_the_provider_and_wished_ones_are_kept(provider: Provider, alice: User) -> None:
    assert go(Client(), provider, "github")["data"]["username"] == f"github_{alice.pk + 1}"
    assert go(Client(), provider, "lark", name="")["data"]["display_name"] == "Lark User"
    assert go(Client(), provider, "oidc")["data"]["username"] == "mona"


def test_a_name_that_is_taken_gets_a_suffix(provider: Provider, alice: User) -> None:
    create_user(username=f"wechat_{alice.pk + 2}", password=None)

    assert go(Client(), provider, "wechat")["data"]["username"].startswith(f"wechat_{alice.pk + 2}_")
    assert go(Client(), provider, "oidc", preferred_username="ALICE")["data"]["username"].startswith("ALICE_")


def test_a_wished_name_that_cannot_be_is_replaced(provider: Provider) -> None:
    answer = go(Client(), provider, "oidc", preferred_username="\u0430dmin", name="\u202eMona")

    assert answer["data"]["username"].startswith("oidc_")
    assert answer["data"]["display_name"] == "OIDC User"


@pytest.mark.parametrize("name", NAMES)
def test_a_new_account_goes_through_the_new_user_procedure(provider: Provider, name: str) -> None:
    set_option(SYSTEM, "QuotaForNewUser", "700")

    go(Client(), provider, name)
    go(Client(), provider, name)

    user = User.objects.get()
    assert (user.quota, user.group, user.inviter_id) == (700, "default", 0)
    assert [entry.amount for entry in LedgerEntry.objects.all()] == [700]
    assert Log.objects.filter(user_id=user.pk, content__startswith="新用户注册赠送").count() == 1
    assert Token.objects.get().name == "default"


@pytest.mark.parametrize("name", NAMES)
def test_registration_that_is_off_is_off_here_too(provider: Provider, name: str) -> None:
    go(Client(), provider, name)
    set_option(SYSTEM, "RegisterEnabled", "false")

    assert go(Client(), provider, name)["success"]
    User.objects.update(**{PEOPLE[name][1]: None})
    client = Client()
    assert go(client, provider, name) == {"success": False, "message": "管理员关闭了新用户注册"}
    assert User.objects.count() == 1
    assert client.get("/api/user/self").status_code == 401


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [UserStatus.DISABLED, UserStatus.DELETED])
def test_a_disabled_or_deleted_account_stays_out(provider: Provider, name: str, status: int) -> None:
    go(Client(), provider, name)
    User.objects.update(status=status)
    client = Client()

    assert go(client, provider, name) == BANNED
    assert client.get("/api/user/self").status_code == 401


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("github", "GitHubOAuthEnabled", "false"),
        ("github", "GitHubClientSecret", ""),
        ("lark", "LarkClientId", ""),
        ("lark", "LarkClientSecret", ""),
        ("oidc", "OidcEnabled", "false"),
        ("oidc", "OidcClientId", ""),
        ("oidc", "OidcClientSecret", ""),
        ("oidc", "OidcTokenEndpoint", ""),
        ("wechat", "WeChatAuthEnabled", "false"),
    ],
)
def test_what_is_switched_off_or_not_set_up_is_refused_unasked(
    provider: Provider, name: str, key: str, value: str
) -> None:
    set_option(SYSTEM, key, value)

    assert go(Client(), provider, name) == {"success": False, "message": OFF[name]}
    assert provider.asked == []


@pytest.mark.parametrize("name", NAMES)
def test_without_a_code_nobody_is_asked(provider: Provider, name: str) -> None:
    for code in ("", "x" * 3000):
        assert come_back(Client(), name, code).json() == {"success": False, "message": "无效的参数"}
    assert provider.asked == []


@pytest.mark.parametrize("name", NAMES)
def test_a_code_of_nobody_or_a_used_one_is_no_identity(provider: Provider, name: str) -> None:
    code = provider.code(name, PEOPLE[name][0])
    assert come_back(Client(), name, code).json()["success"]

    message = "验证码不存在" if name == "wechat" else "返回值非法，用户字段为空，请稍后重试！"
    for one in (code, "invented"):
        client = Client()
        assert come_back(client, name, one).json() == {"success": False, "message": message}
        assert client.get("/api/user/self").status_code == 401


# ---------------------------------------------------------------- the state


def test_a_state_is_twelve_letters_and_digits_and_never_the_same(provider: Provider) -> None:
    client = Client()
    states = [state_of(client) for _ in range(3)]

    assert all(len(state) == 12 and state.isalnum() and state.isascii() for state in states)
    assert len(set(states)) == 3
    assert client.cookies["session"]["httponly"]


@pytest.mark.parametrize("name", WITH_STATE)
def test_a_state_that_was_not_handed_out_to_this_browser_is_refused(provider: Provider, name: str) -> None:
    client, other = Client(), Client()
    state, foreign = state_of(client), state_of(other)

    for wrong in ("", foreign, state[:-1], state.swapcase(), f"{state}x", "\x00"):
        answer = client.get(f"/api/oauth/{name}", {"code": provider.code(name, PEOPLE[name][0]), "state": wrong})
        assert answer.status_code == 403
        assert answer.json() == {"success": False, "message": "state is empty or not same"}
    assert provider.asked == []
    assert come_back(client, name, provider.code(name, PEOPLE[name][0]), state).json()["success"]


@pytest.mark.parametrize("name", WITH_STATE)
def test_a_state_is_good_once_whatever_came_of_it(provider: Provider, name: str) -> None:
    client = Client()
    state = state_of(client)
    assert come_back(client, name, "invented", state).status_code == 200

    answer = come_back(client, name, provider.code(name, PEOPLE[name][0]), state)

    assert (answer.status_code, User.objects.count()) == (403, 0)


def test_a_state_for_one_provider_is_not_good_for_another_nor_afterwards(provider: Provider) -> None:
    client = Client()
    state = state_of(client, "lark")

    for name in ("github", "lark"):
        assert come_back(client, name, provider.code(name, PEOPLE[name][0]), state).status_code == 403
    assert provider.asked == []
    state = state_of(client, "lark")
    assert come_back(client, "lark", provider.code("lark", PEOPLE["lark"][0]), state).json()["success"]
    assert client.get("/api/oauth/state?provider=wechat").json() == {"success": False, "message": "无效的参数"}


def test_a_state_is_good_for_ten_minutes(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    monkeypatch.setattr("accounts.external.states.LIFETIME", -1)

    assert come_back(client, "github", provider.code("github", PEOPLE["github"][0])).status_code == 403


def test_tabs_do_not_disturb_each_other_and_the_oldest_of_many_is_forgotten(provider: Provider) -> None:
    client = Client()
    states = [state_of(client) for _ in range(6)]

    assert come_back(client, "lark", "x", states[0]).status_code == 403
    for state in states[1:]:
        assert come_back(client, "lark", "x", state).status_code == 200


def test_the_session_is_another_after_signing_in(provider: Provider) -> None:
    client = Client()
    state = state_of(client)
    before = client.cookies["session"].value

    come_back(client, "github", provider.code("github", PEOPLE["github"][0]), state)

    assert client.cookies["session"].value != before
    stranger = Client()
    stranger.cookies["session"] = before
    assert stranger.get("/api/user/self").status_code == 401


def test_a_state_in_the_session_table_cannot_be_read(provider: Provider) -> None:
    client = Client()
    state = state_of(client)

    assert state not in str(dict(client.session))


# ---------------------------------------------------------------- binding


@pytest.mark.parametrize("name", WITH_STATE)
def test_who_is_signed_in_binds(
    provider: Provider, name: str, alice: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(alice)

    assert go(client, provider, name) == {"success": True, "message": "bind"}

    alice.refresh_from_db()
    assert getattr(alice, PEOPLE[name][1]) == PEOPLE[name][2]
    assert go(Client(), provider, name)["data"]["username"] == "alice"
    assert User.objects.count() == 1


@pytest.mark.parametrize("name", WITH_STATE)
def test_an_identity_belongs_to_one_account(
    provider: Provider, name: str, alice: User, bob: User, signed_in: Callable[[User], Client]
) -> None:
    go(signed_in(alice), provider, name)

    assert go(signed_in(bob), provider, name) == {"success": False, "message": TAKEN[name]}
    bob.refresh_from_db()
    assert getattr(bob, PEOPLE[name][1]) is None


def test_wechat_is_bound_at_its_own_address(
    provider: Provider, alice: User, bob: User, signed_in: Callable[[User], Client]
) -> None:
    def bind(user: User) -> Any:
        code = provider.code("wechat", {"id": "wx-1"})
        return signed_in(user).get("/api/oauth/wechat/bind", {"code": code}).json()

    assert bind(alice) == {"success": True, "message": ""}
    assert go(Client(), provider, "wechat")["data"]["username"] == "alice"
    assert bind(bob) == {"success": False, "message": "该微信账号已被绑定"}


def test_an_access_token_binds_nothing_where_a_cookie_is_asked_for(provider: Provider, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(access_token_digest=access_token_digest("alice's"))
    client = Client(headers={"Authorization": "alice's"})

    assert go(client, provider, "github")["data"]["id"] != alice.pk
    alice.refresh_from_db()
    assert alice.github_id is None


def test_a_browser_of_a_disabled_account_neither_binds_nor_signs_in(
    provider: Provider, alice: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(alice)
    User.objects.filter(pk=alice.pk).update(status=UserStatus.DISABLED)

    assert go(client, provider, "github") == BANNED
    assert provider.asked == []
    assert client.get("/api/user/self").status_code == 401


def test_another_site_can_neither_sign_people_in_by_wechat_nor_bind_its_own(
    provider: Provider, alice: User, signed_in: Callable[[User], Client]
) -> None:
    elsewhere = {"Origin": "https://evil.example"}
    for client, path in ((Client(), "wechat"), (signed_in(alice), "wechat/bind")):
        answer = client.get(f"/api/oauth/{path}", {"code": provider.code("wechat", {"id": "wx-1"})}, headers=elsewhere)
        assert answer.json() == {"success": False, "message": "无权进行此操作，请求来自其他网站"}
    assert provider.asked == []


# ---------------------------------------------------------------- whose an identity is


def test_a_login_from_before_counts_once_and_then_its_number(provider: Provider, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(github_id="octocat")

    assert go(Client(), provider, "github")["data"]["id"] == alice.pk
    alice.refresh_from_db()
    assert alice.github_id == "583231"
    assert go(Client(), provider, "github", login="renamed")["data"]["id"] == alice.pk
    assert go(Client(), provider, "github", id=99)["data"]["id"] != alice.pk


def test_a_login_of_digits_is_not_taken_for_a_number(provider: Provider, alice: User, bob: User) -> None:
    User.objects.filter(pk=alice.pk).update(github_id="login:123")
    User.objects.filter(pk=bob.pk).update(github_id="456")

    assert go(Client(), provider, "github", id=123, login="mallory")["data"]["id"] not in (alice.pk, bob.pk)
    assert go(Client(), provider, "github", id=789, login="456")["data"]["id"] not in (alice.pk, bob.pk)
    assert go(Client(), provider, "github", id=790, login="123")["data"]["id"] == alice.pk


def test_subjects_that_look_alike_are_different_people(provider: Provider) -> None:
    ids = [go(Client(), provider, "oidc", sub=sub)["data"]["id"] for sub in ("a1", "A1", "\uff411", "a1\u0301")]

    assert len(set(ids)) == 4


def test_an_address_counts_only_where_the_provider_has_verified_it(provider: Provider, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@example.com", email_key="alice@example.com")

    def email(subject: str, **person: Any) -> str:
        return User.objects.get(pk=go(Client(), provider, "oidc", sub=subject, **person)["data"]["id"]).email

    assert email("s-1", email="one@example.com") == ""
    assert email("s-2", email="two@example.com", email_verified="true") == ""
    assert email("s-3", email="three@example.com", email_verified=True) == "three@example.com"
    assert email("s-4", email="Alice@example.com", email_verified=True) == ""
    assert email("s-5", email="no address", email_verified=True) == ""
    go(Client(), provider, "github", email="octocat@example.com")
    assert User.objects.get(github_id="583231").email == ""
