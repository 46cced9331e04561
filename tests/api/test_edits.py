"""What a change of one thing leaves alone, what it stores of what was sent, and what the audit says of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import registration
from accounts.models import Token, User
from api.paging import SEARCH_LIMIT
from audit.models import AuditEntry
from billing.models import LedgerEntry
from channels_app import snapshot
from channels_app.models import Ability, Channel
from notices.codes import Purpose, issue
from options.models import Option
from redemptions.models import Redemption
from tests.api.conftest import Caller

COUNTERS = re.compile(r"\b(quota|used_quota|request_count|held|remain_quota)\b[`\"]? =")
FIELDS = {"type": 1, "key": "sk-one", "name": "one", "models": "gpt-4o", "group": "default"}

Change = Callable[[Caller, Caller], Any]


def bind(user: Caller, _admin: Caller) -> Any:
    return user.get(f"oauth/email/bind?email=carol@example.com&code={issue(Purpose.ADDRESS, 'carol@example.com')}")


def edit_token(user: Caller, _admin: Caller) -> Any:
    token = Token.objects.create(user=user.user, name="old", key="k", key_digest="d", remain_quota=5)
    return user.put("token/", {"id": token.pk, "name": "new"})


CHANGES: dict[str, Change] = {
    "own name": lambda user, _: user.put("user/self", {"display_name": "Carol", "quota": 5}),
    "own password": lambda user, _: user.put("user/self", {"password": "another password"}),
    "access token": lambda user, _: user.get("user/token"),
    "address": bind,
    "group by an administrator": lambda user, admin: admin.put("user/", {"id": user.user.pk, "group": "vip"}),
    "disabled": lambda _, admin: admin.post("user/manage", {"username": "carol", "action": "disable"}),
    "sign-in": lambda *_: (
        Client()
        .post("/api/user/login", {"username": "carol", "password": "carol's password"}, content_type="application/json")
        .json()
    ),
    "token": edit_token,
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_writes_back_no_balance_and_no_counter(what: str, user: Caller, admin: Caller) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert CHANGES[what](user, admin)["success"]

    updates = [query["sql"].partition(" WHERE ")[0] for query in queries if query["sql"].startswith("UPDATE")]
    assert [sql for sql in updates if re.match(r"UPDATE [`\"](users|tokens)", sql)]
    assert [sql for sql in updates if COUNTERS.search(sql)] == []


def test_an_invitation_code_writes_back_no_balance(root: Caller) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert root.get("user/aff")["success"]

    updates = [query["sql"].partition(" WHERE ")[0] for query in queries if query["sql"].startswith("UPDATE")]
    assert [sql for sql in updates if "aff_code" in sql]
    assert [sql for sql in updates if COUNTERS.search(sql)] == []


@pytest.mark.parametrize("path", ["user/register", "user/"])
def test_an_account_whose_making_fails_at_the_last_step_leaves_nothing(
    path: str, root: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.put("option", {"key": "QuotaForNewUser", "value": "500"})
    monkeypatch.setattr(registration, "create_token", lambda **_: 1 / 0)
    root.client.raise_request_exception = False

    answer = root.send("POST", path, {"username": "dave", "password": "a good password"})

    assert answer.status_code == 500
    assert not User.objects.filter(username="dave").exists()
    assert not LedgerEntry.objects.exists()


def test_a_channel_whose_abilities_cannot_be_stored_is_not_stored(
    admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ability.objects.__class__, "bulk_create", lambda *_args, **_more: 1 / 0)
    admin.client.raise_request_exception = False

    assert admin.send("POST", "channel/", {**FIELDS, "key": "sk-one\nsk-two"}).status_code == 500
    assert not Channel.objects.exists()


def test_who_gave_which_rights_is_in_the_audit(root: Caller, user: Caller) -> None:
    root.post("user/manage", {"username": "carol", "action": "promote"})
    root.put("user/", {"id": user.user.pk, "status": 2, "group": "vip", "email": "carol@example.com"})

    entries = AuditEntry.objects.filter(action="user.update").order_by("id")
    assert [(entry.actor_id, entry.target) for entry in entries] == [(root.user.pk, f"user:{user.user.pk}")] * 2
    assert [entry.detail for entry in entries] == [
        {"fields": ["role"], "role": 10, "before": {"role": 1}},
        {
            "fields": ["email", "group", "status"],
            "status": 2,
            "group": "vip",
            "before": {"status": 1, "group": "default"},
        },
    ]


def test_what_is_deleted_is_in_the_audit(admin: Caller, user: Caller) -> None:
    admin.post("channel/", FIELDS)
    channel = Channel.objects.get()
    admin.delete(f"channel/{channel.pk}")
    admin.delete(f"user/{user.user.pk}")

    deleted = AuditEntry.objects.filter(action__endswith=".delete").values_list("action", "target", "actor_id")
    assert set(deleted) == {
        ("channel.delete", f"channel:{channel.pk}", admin.user.pk),
        ("user.delete", f"user:{user.user.pk}", admin.user.pk),
    }


def test_deleting_the_disabled_channels_takes_their_abilities_along(admin: Caller) -> None:
    for name, status in (("one", 1), ("two", 2), ("three", 3)):
        admin.post("channel/", {**FIELDS, "name": name})
        Channel.objects.filter(name=name).update(status=status)

    assert admin.delete("channel/disabled")["data"] == 2

    assert set(Ability.objects.values_list("channel__name", flat=True)) == {"one"}


def test_an_edit_of_a_deleted_channel_stores_no_ability(admin: Caller) -> None:
    assert admin.put("channel/", {**FIELDS, "id": 99, "status": 1})["message"] == "record not found"
    assert not Ability.objects.exists()


def test_long_lists_and_mappings_are_stored_whole(admin: Caller) -> None:
    groups = ",".join(f"group-number-{number}" for number in range(40))
    mapping = json.dumps({f"a-model-with-a-long-name-{number}": "another" for number in range(100)})

    assert admin.post("channel/", {**FIELDS, "group": groups, "model_mapping": mapping})["success"]

    stored = admin.get(f"channel/{Channel.objects.get().pk}")["data"]
    assert len(groups) > 32
    assert len(mapping) > 1024
    assert stored["group"] == groups
    assert json.loads(stored["model_mapping"]) == json.loads(mapping)
    assert Ability.objects.count() == 40


def test_a_model_taken_out_of_the_ratios_stays_out(root: Caller) -> None:
    def ratios() -> Any:
        return next(row["value"] for row in root.get("option/")["data"] if row["key"] == "ModelRatio")

    both = '{"gpt-4": 1, "our-own": 2}'
    assert root.put("option/", {"key": "ModelRatio", "value": both})["success"]
    assert ratios() == both
    assert snapshot.load().prices.price("our-own", 1, "default").known

    assert root.put("option/", {"key": "ModelRatio", "value": '{"gpt-4": 1}'})["success"]

    for _start in range(2):  # what a start or another worker loads
        prices = snapshot.load().prices
        assert set(prices.model_ratio) == {"gpt-4"}
        assert not prices.price("our-own", 1, "default").known
    assert ratios() == Option.objects.get(pk="ModelRatio").value == '{"gpt-4": 1}'


def test_a_theme_is_checked_and_a_change_needs_no_restart(root: Caller, settings: Any) -> None:
    def theme() -> Any:
        return next(row["value"] for row in root.get("option/")["data"] if row["key"] == "Theme")

    settings.THEME = "berry"
    assert theme() == "berry"
    settings.THEME = "../../etc"
    assert theme() == "default"
    for bad in ("../../etc", "", "BERRY"):
        assert root.put("option/", {"key": "Theme", "value": bad}) == {"success": False, "message": "无效的主题"}
    assert root.put("option/", {"key": "Theme", "value": "air"})["success"]
    assert theme() == "air"


@pytest.mark.parametrize("models", ["", " , ,"])
def test_where_there_is_no_model_the_list_is_empty(models: str, user: Caller, admin: Caller) -> None:
    assert admin.post("channel/", {**FIELDS, "models": models})["success"]

    for _again in range(2):
        assert user.get("user/available_models")["data"] == []
    assert "" not in snapshot.load().models.get("default", ())


def test_a_search_ends(user: Caller, admin: Caller) -> None:
    numbers = range(SEARCH_LIMIT + 1)
    names = [f"many{number}" for number in numbers]
    User.objects.bulk_create(User(username=name, username_key=name) for name in names)
    Channel.objects.bulk_create(Channel(name=name) for name in names)
    Redemption.objects.bulk_create(
        Redemption(name=name, key=name, key_digest=name, quota=1, created_time=1) for name in names
    )
    Token.objects.bulk_create(Token(user=user.user, name=name, key=name, key_digest=name) for name in names)

    for who, path in ((admin, "user"), (admin, "channel"), (admin, "redemption"), (user, "token")):
        assert len(who.get(f"{path}/search?keyword=many")["data"]) == SEARCH_LIMIT
