"""Mass assignment: every column of a row is sent along, and only those that a route is there for are stored.

The columns are the models' own, so that a new one is tried without anybody thinking of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import models

from accounts.models import Token, User
from accounts.services import create_token, create_user
from audit.services import SYSTEM
from channels_app.models import Channel
from redemptions.models import Redemption
from redemptions.services import create_codes
from tests.api.conftest import Caller
from tests.channels_app.test_services import made
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db

NAMES = {"model_names": "models", "user": "user_id"}  # columns that the API calls otherwise
NOTED = {"last_active", "last_login", "access_token_used"}  # that somebody was there at all
KEPT = 7  # a number that no column of these rows has of itself, but for numbers of rows
ASKED = 1_000_000  # a number that no row has of itself


def everything(model: type[models.Model], **wanted: Any) -> dict[str, Any]:
    """A value of the right type for each column, by the API's names; `wanted` are those a route is there for."""
    members: dict[str, Any] = {"is_staff": True, "is_superuser": True, "pk": KEPT, "count": 1, "user_id": KEPT}
    for column in model._meta.concrete_fields:
        name = NAMES.get(column.name, column.name)
        if isinstance(column, models.BooleanField):
            members[name] = not column.get_default()
        elif isinstance(column, models.IntegerField | models.FloatField | models.ForeignKey):
            members[name] = KEPT
        else:
            members[name] = "7"
    return {**members, "id": ASKED, "pk": ASKED, **wanted}


def changed(row: models.Model, act: Callable[[], object]) -> set[str]:
    """The columns of the row that differ afterwards."""
    before = type(row).objects.filter(pk=row.pk).values().get()  # type: ignore[attr-defined]
    act()
    after = type(row).objects.filter(pk=row.pk).values().get()  # type: ignore[attr-defined]
    return {name for name in before if before[name] != after[name]} - NOTED


def new(model: Any, act: Callable[[], object]) -> Any:
    known = set(model.objects.values_list("pk", flat=True))
    act()
    return model.objects.exclude(pk__in=known).get()


# Accounts


def test_one_changes_of_oneself_name_and_password(user: Caller) -> None:
    body = everything(User, username="carla", password="another password", display_name="Carla")

    def act() -> None:
        assert user.put("user/self", body)["success"]

    assert changed(user.user, act) == {"username", "username_key", "password", "display_name"}


def test_who_registers_gets_no_more_than_others(anonymous: Caller) -> None:
    body = everything(User, username="dave", password="a good password", aff_code="")
    assert anonymous.post("user/register", body)["success"]
    assert anonymous.post("user/register", {"username": "eve", "password": "a good password"})["success"]

    dave, eve = (dict[str, Any](User.objects.filter(username=name).values().get()) for name in ("dave", "eve"))
    own = {"id", "username", "username_key", "password", "aff_code", "created_time", "display_name"}
    assert {name for name in dave if dave[name] != eve[name]} <= own
    assert (dave["role"], dave["quota"], dave["group"], dave["inviter_id"]) == (1, 0, "default", 0)


def test_an_administrator_gives_a_new_account_name_and_password(admin: Caller) -> None:
    body = everything(User, username="dave", password="a good password", display_name="Dave", role=1)
    dave = new(User, lambda: admin.post("user", body))

    assert (dave.role, dave.quota, dave.group, dave.inviter_id) == (1, 0, "default", 0)
    assert (dave.access_token_digest, dave.email, dave.github_id, dave.used_quota, dave.held) == (None, "", None, 0, 0)
    assert dave.pk != ASKED


def test_an_administrator_changes_of_an_account_what_the_contract_lists(admin: Caller, user: Caller) -> None:
    texts = {"username": "carla", "password": "another password", "display_name": "Carla", "email": "c@example.com"}
    wanted = {**texts, "group": "vip", "role": 1, "status": 1, "quota": 99, "id": user.user.pk}
    body = everything(User, **wanted)

    def act() -> None:
        assert admin.put("user", body)["success"]

    identities = {"github_id", "wechat_id", "lark_id", "oidc_id"}
    own = {"username", "username_key", "password", "display_name", "email", "email_key", "group", "quota"}
    assert changed(user.user, act) == own | identities


# Keys


def test_a_new_key_is_ones_own_and_drawn(user: Caller, alice: User) -> None:
    theirs = create_token(user_id=alice.pk, name="theirs")
    wanted = {"name": "mine", "expired_time": -1, "subnet": "", "models": "", "remain_quota": 5, "id": theirs.pk}
    body = everything(Token, **wanted, user_id=alice.pk, key="k" * 48)

    token = new(Token, lambda: user.post("token", body))

    assert (token.user_id, token.used_quota, token.held, token.status) == (user.user.pk, 0, 0, 1)
    assert token.key != "k" * 48
    assert token.created_time != KEPT != token.accessed_time


@pytest.mark.parametrize("query", ["", "?status_only=true"])
def test_a_key_changes_by_what_it_may(query: str, user: Caller, alice: User) -> None:
    token = create_token(user_id=user.user.pk, name="mine")
    wanted = {"name": "new", "expired_time": -1, "subnet": "", "models": "gpt-4o", "id": token.pk, "status": 2}
    body = everything(Token, **wanted, user_id=alice.pk)

    def act() -> None:
        assert user.put(f"token{query}", body)["success"]

    may = {"status"} if query else {"name", "remain_quota", "unlimited_quota", "model_names"}
    assert changed(token, act) == may


# Codes and channels


def test_a_new_code_is_its_makers_and_unused(admin: Caller, alice: User) -> None:
    body = everything(Redemption, name="gift", quota=5, count=1, user_id=alice.pk)

    code = new(Redemption, lambda: admin.post("redemption", body))

    assert (code.user_id, code.status, code.used_by, code.redeemed_time) == (admin.user.pk, 1, 0, 0)
    assert (code.per_user, code.expires_at, code.batch) == (0, 0, "")
    assert len(code.key) == 32


@pytest.mark.parametrize("query", ["", "?status_only=true"])
def test_a_code_changes_by_what_it_may(query: str, admin: Caller) -> None:
    create_codes(SYSTEM, name="gift", count=1, quota=5)
    code = Redemption.objects.get()
    body = everything(Redemption, name="more", quota=6, id=code.pk, status=2)

    def act() -> None:
        assert admin.put(f"redemption{query}", body)["success"]

    assert changed(code, act) == ({"status"} if query else {"name", "quota"})


WRITABLE = {
    *("type", "status", "name", "weight", "base_url", "other", "model_names", "group", "model_mapping", "priority"),
    *("config", "system_prompt", "key", "key_digest", "status_reason", "status_time"),
}
CHANNEL = {
    "type": 1, "key": "sk-new", "status": 2, "name": "new", "weight": 3, "base_url": "https://new.example",
    "models": "gpt-4", "group": "vip", "model_mapping": "", "priority": 2, "config": "{}",
}  # fmt: skip


def test_a_new_channel_has_no_history(admin: Caller) -> None:
    channel = new(Channel, lambda: admin.post("channel", everything(Channel, **CHANNEL)))

    counters = (channel.used_quota, channel.balance, channel.response_time, channel.test_time, channel.disabled_until)
    assert counters == (0, 0, 0, 0, 0)
    assert channel.pk != ASKED
    assert channel.created_time > KEPT


def test_a_channel_changes_by_what_it_may(admin: Caller) -> None:
    channel = made()

    def act() -> None:
        assert admin.put("channel", everything(Channel, **CHANNEL, id=channel.pk))["success"]

    found = changed(channel, act)
    assert found <= WRITABLE
    assert {"name", "key", "base_url"} <= found


# The console's forms

FORMS: dict[str, tuple[type[models.Model], str, dict[str, Any], set[str]]] = {
    "profile": (User, "/setting/profile", {"username": "alice", "display_name": "A"}, {"display_name"}),
    "reminder": (User, "/setting/reminder", {"remind_below_0": "5", "remind_below_1": "points"}, {"remind_below"}),
    "key": (Token, "/token/edit/{token}", {"name": "new", "lifetime": "never", "unlimited": "on", "quota_0": "",
            "quota_1": "points", "count": "1"}, {"name", "unlimited_quota", "model_names", "subnet", "remain_quota"}),
}  # fmt: skip


@pytest.mark.parametrize("what", FORMS)
def test_a_form_stores_its_own_fields(what: str, alice: User, bob: User) -> None:
    model, address, fields, may = FORMS[what]
    token = create_token(user_id=alice.pk, name="mine")
    row: Any = {User: alice, Token: token}[model]
    unwanted = {name: str(value) for name, value in everything(model).items() if name not in fields}
    clash = {"subnet": "", "models": "", "user_id": str(bob.pk), "user": str(bob.pk), "role": "100", "status": "2"}

    def act() -> None:
        answer = signed_in(alice).post(address.format(token=token.pk), {**unwanted, **clash, **fields})
        assert answer.status_code in (200, 302), answer.content

    found = changed(row, act)
    assert found <= may
    assert found


@pytest.mark.parametrize("address", ["/user/add", "/user/edit/{user}"])
def test_an_administrators_form_makes_no_administrator(address: str) -> None:
    adam = create_user(username="adam", password="adam's password", role=10)
    alice = create_user(username="alice", password="alice's password")
    fields = {**everything(User), "username": "dave", "password": "a good password", "role": "100", "group": "default"}

    signed_in(adam).post(address.format(user=alice.pk), {name: str(value) for name, value in fields.items()})

    found = User.objects.exclude(pk=adam.pk).values_list("role", "held", "used_quota", "inviter_id")
    assert set(found) == {(1, 0, 0, 0)}


def test_a_member_twice_counts_once_and_never_for_another_row(user: Caller, alice: User) -> None:
    theirs, mine = create_token(user_id=alice.pk, name="theirs"), create_token(user_id=user.user.pk, name="mine")
    raw = f'{{"id":{mine.pk},"id":{theirs.pk},"name":"taken"}}'.encode()

    assert user.put("token", raw)["success"] is False
    assert set(Token.objects.values_list("name", flat=True)) == {"theirs", "mine"}
