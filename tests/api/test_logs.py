from __future__ import annotations

import pytest

from accounts.models import User
from audit.models import AuditEntry
from billing.models import Log
from tests.api.conftest import Caller


@pytest.fixture
def logs(user: Caller, alice: User) -> None:
    rows = [
        (user.user.pk, 100, 2, "倍率：1", "carol", "work", "gpt", 7, 3),
        (user.user.pk, 200, 1, "通过 API", "carol", "", "", 500, 0),
        (user.user.pk, 300, 2, "倍率：2", "carol", "play", "o1", 9, 4),
        (alice.pk, 400, 2, "倍率：1", "alice", "work", "gpt", 20, 3),
    ]
    for user_id, created_at, type_, content, username, token_name, model_name, quota, channel_id in rows:
        Log.objects.create(
            user_id=user_id,
            created_at=created_at,
            type=type_,
            content=content,
            username=username,
            token_name=token_name,
            model_name=model_name,
            quota=quota,
            channel_id=channel_id,
        )


def test_a_row_has_the_contracts_members(admin: Caller, logs: None) -> None:
    row = admin.get("log/?p=0")["data"][0]

    assert set(row) == {
        "id", "user_id", "created_at", "type", "content", "username", "token_name", "model_name", "quota",
        "prompt_tokens", "completion_tokens", "channel", "request_id", "elapsed_time", "is_stream",
        "system_prompt_reset", "usage_details",
    }  # fmt: skip
    assert (row["created_at"], row["channel"], row["id"] > 0) == (400, 3, True)


@pytest.mark.parametrize(
    ("query", "times"),
    [
        ("type=0", [400, 300, 200, 100]),
        ("type=2&username=carol", [300, 100]),
        ("start_timestamp=200&end_timestamp=300", [300, 200]),
        ("end_timestamp=300.25&channel=", [300, 200, 100]),
        ("model_name=gpt&token_name=work", [400, 100]),
        ("channel=4", [300]),
        ("channel=nonsense&type=nonsense", [400, 300, 200, 100]),
    ],
)
def test_filters(admin: Caller, logs: None, query: str, times: list[int]) -> None:
    assert [row["created_at"] for row in admin.get(f"log/?{query}")["data"]] == times


def test_a_user_sees_only_own_rows_without_their_numbers(user: Caller, logs: None) -> None:
    rows = user.get("log/self/?username=alice&channel=3")["data"]

    assert [row["created_at"] for row in rows] == [300, 200, 100]
    assert {(row["id"], row["channel"]) for row in rows} == {(0, 0)}


def test_sums_are_of_consumption_unless_a_type_is_asked_for(admin: Caller, user: Caller, logs: None) -> None:
    assert admin.get("log/stat?type=0")["data"] == {"quota": 36}
    assert admin.get("log/stat?model_name=gpt&username=alice")["data"] == {"quota": 20}
    assert admin.get("log/stat?type=1")["data"] == {"quota": 500}
    assert user.get("log/self/stat?type=0&channel=3")["data"] == {"quota": 16}
    assert admin.get("log/stat?start_timestamp=999")["data"] == {"quota": 0}


def test_own_sums_follow_the_account_and_not_its_name(user: Caller, logs: None) -> None:
    user.put("user/self", {"username": "caroline"})

    assert user.get("log/self/stat")["data"] == {"quota": 16}


def test_search_is_by_type_or_beginning_of_the_content(admin: Caller, user: Caller, logs: None) -> None:
    assert [row["created_at"] for row in admin.get("log/search?keyword=1")["data"]] == [200]
    assert [row["created_at"] for row in admin.get("log/search?keyword=倍率")["data"]] == [400, 300, 100]
    assert [row["created_at"] for row in user.get("log/self/search?keyword=2")["data"]] == [300, 100]
    assert admin.get("log/search?keyword=%25")["data"] == []


def test_a_purge_takes_what_is_older_and_is_audited(admin: Caller, logs: None, monkeypatch) -> None:
    monkeypatch.setattr("billing.reports.PURGE_BATCH", 2)

    assert admin.delete("log/?target_timestamp=400") == {"success": True, "message": "", "data": 3}

    assert list(Log.objects.values_list("created_at", flat=True)) == [400]
    assert AuditEntry.objects.get(action="log.purge").detail == {"before": 400, "rows": 3}
    assert admin.delete("log/")["message"] == "target timestamp is required"
