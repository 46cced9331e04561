"""Several options in one save: all or none, one audit entry, a history that could undo it, and no secret anywhere."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from audit.models import AuditEntry
from audit.services import Actor
from options import versions
from options.models import Option, OptionChange
from options.registry import MAX_QUOTA, BadOption, parse_ratios, ratios_text
from options.services import BadOptions, last_changes, load, set_option, set_options

pytestmark = pytest.mark.django_db

ROOT = Actor(user_id=1, name="root", ip="127.0.0.1")


def test_all_are_stored_in_one_save_with_one_entry() -> None:
    before = versions.read()[versions.ROUTING]

    changed = set_options(ROOT, {"RetryTimes": "3", "SystemName": "Our gateway", "QuotaForNewUser": "500"})

    assert changed == ["RetryTimes", "SystemName", "QuotaForNewUser"]
    assert load()["RetryTimes"] == 3
    assert versions.read()[versions.ROUTING] == before + 1
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.actor_name) == ("option.update", "options", "root")
    assert entry.detail["before"] == {"RetryTimes": None, "SystemName": None, "QuotaForNewUser": None}
    assert entry.detail["after"] == {"RetryTimes": "3", "SystemName": "Our gateway", "QuotaForNewUser": "500"}
    assert len({change.save_id for change in OptionChange.objects.all()}) == 1


def test_one_refusal_stores_nothing_and_names_its_field() -> None:
    """D35: a group cannot be saved in part."""
    with pytest.raises(BadOptions) as caught:
        set_options(ROOT, {"RetryTimes": "3", "QuotaForNewUser": "-1", "NoSuch": "1"})

    assert caught.value.problems == {
        "QuotaForNewUser": f"must be between 0 and {MAX_QUOTA}",
        "NoSuch": "There is no such option.",
    }
    assert not Option.objects.exists()
    assert not AuditEntry.objects.exists()


def test_what_is_stored_already_is_no_change() -> None:
    set_options(ROOT, {"RetryTimes": "3"})

    assert set_options(ROOT, {"RetryTimes": "3"}) == []
    assert AuditEntry.objects.count() == 1


def test_none_gives_an_option_its_default_again() -> None:
    set_options(ROOT, {"RetryTimes": "3"})

    set_options(ROOT, {"RetryTimes": None})

    assert load()["RetryTimes"] == 0
    assert not Option.objects.exists()


def test_a_secret_is_told_as_changed_or_cleared_alone() -> None:
    """D36, D40: it can be cleared, and neither entry nor history holds it."""
    set_options(ROOT, {"TurnstileSecretKey": "canary-7f3a"})
    set_options(ROOT, {"TurnstileSecretKey": None})

    assert [entry.detail["after"] for entry in AuditEntry.objects.order_by("id")] == [
        {"TurnstileSecretKey": "changed"},
        {"TurnstileSecretKey": "cleared"},
    ]
    assert "canary" not in str(list(AuditEntry.objects.values())) + str(list(OptionChange.objects.values()))
    assert load()["TurnstileSecretKey"] == ""


def test_a_switch_that_stays_on_keeps_what_it_needs() -> None:
    set_options(ROOT, {"GitHubClientId": "id", "GitHubClientSecret": "s", "GitHubOAuthEnabled": "true"})

    with pytest.raises(BadOptions) as caught:
        set_options(ROOT, {"GitHubClientId": ""})

    assert caught.value.problems == {"GitHubClientId": "GitHubOAuthEnabled is on and needs this. Switch it off first."}


def test_a_switch_and_what_it_needs_may_come_in_one_save() -> None:
    set_options(ROOT, {"WeChatAuthEnabled": "true", "WeChatServerAddress": "https://wechat.example"})

    assert load()["WeChatAuthEnabled"] is True


def test_a_switch_without_what_it_needs_is_refused() -> None:
    with pytest.raises(BadOptions) as caught:
        set_options(ROOT, {"WeChatAuthEnabled": "true"})

    assert caught.value.problems == {"WeChatAuthEnabled": "Fill in first: WeChatServerAddress."}


def test_invalid_ratios_leave_the_live_table_as_it_was() -> None:
    """D39: checked, then stored, then read."""
    set_options(ROOT, {"ModelRatio": '{"gpt-4o": 1.25}'})

    with pytest.raises(BadOptions):
        set_options(ROOT, {"ModelRatio": '{"gpt-4o": 1.25'})

    assert load()["ModelRatio"] == {"gpt-4o": Decimal("1.25")}


def test_the_history_of_a_table_holds_the_entries_that_differ() -> None:
    set_options(ROOT, {"ModelRatio": '{"a": 1.25, "b": 2, "c": 3}'})
    set_options(ROOT, {"ModelRatio": '{"a": 1.250000000001, "b": 2, "d": 0.1}'}, note="import")

    change = OptionChange.objects.latest("id")
    assert json.loads(change.before or "", parse_float=str, parse_int=str) == {"a": "1.25", "c": "3", "d": None}
    assert json.loads(change.after or "", parse_float=str, parse_int=str) == {
        "a": "1.250000000001",
        "c": None,
        "d": "0.1",
    }
    assert change.note == "import"


def test_ratios_survive_being_written_to_the_digit() -> None:
    table = {"a": Decimal("0.035714285714"), "名": Decimal("1E+3"), 'q"': Decimal(0)}

    assert parse_ratios(ratios_text(table)) == table
    assert ratios_text({"b": Decimal("1E+3"), "a": Decimal("0.10")}) == '{"a":0.10,"b":1000}'


def test_the_last_change_of_each_key_is_found_in_two_queries(django_assert_num_queries) -> None:
    set_options(ROOT, {"RetryTimes": "3"})
    set_options(Actor(name="eve"), {"RetryTimes": "4", "SystemName": "x"})

    with django_assert_num_queries(2):
        found = last_changes(["RetryTimes", "SystemName", "Logo"])

    assert {key: change.actor_name for key, change in found.items()} == {"RetryTimes": "eve", "SystemName": "eve"}


def test_one_option_at_a_time_keeps_its_contract() -> None:
    with pytest.raises(BadOption, match=r"^无法启用微信登录，请先填入微信登录相关配置信息！$"):
        set_option(ROOT, "WeChatAuthEnabled", "true")
    set_option(ROOT, "RetryTimes", "2")

    assert AuditEntry.objects.get().target == "option:RetryTimes"
    assert OptionChange.objects.get().after == "2"
