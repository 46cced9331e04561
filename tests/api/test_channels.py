from __future__ import annotations

import json

from django.db import connection

from channels_app.models import Ability, Channel
from tests.api.conftest import Caller
from tests.fake_upstream import FakeUpstream

FIELDS = {"type": 1, "key": "sk-one", "name": "one", "models": "gpt-4o,gpt-4o-mini", "group": "default,vip"}


def made(admin: Caller, **fields) -> Channel:
    assert admin.post("channel/", {**FIELDS, **fields}) == {"success": True, "message": ""}
    return Channel.objects.latest("id")


def test_one_channel_is_made_for_each_line_of_the_key(admin: Caller) -> None:
    made(admin, key="sk-one\n\nsk-two\nsk-three\n", used_quota=99, id=77, balance=5)

    assert [channel.key for channel in Channel.objects.order_by("id")] == ["sk-one", "sk-two", "sk-three"]
    assert set(Channel.objects.values_list("used_quota", "balance", "status")) == {(0, 0.0, 1)}
    assert Ability.objects.count() == 3 * 2 * 2
    assert admin.post("channel/", {**FIELDS, "key": "\n"})["message"] == "empty slice found"


def test_a_bad_channel_is_refused_and_nothing_is_made(admin: Caller) -> None:
    for bad in ({"type": 999}, {"model_mapping": "{"}, {"config": "[]"}, {"base_url": "ftp://x"}, {"status": 9}):
        assert admin.post("channel/", {**FIELDS, "key": "a\nb", **bad})["success"] is False
    assert Channel.objects.count() == 0


def test_no_answer_tells_a_secret(admin: Caller) -> None:
    channel = made(admin, config=json.dumps({"ak": "AKIA", "sk": "s3cret", "region": "us-east-1"}))

    answers = [
        admin.send("GET", "channel/?p=0"),
        admin.send("GET", "channel/search?keyword=one"),
        admin.send("GET", f"channel/{channel.pk}"),
        admin.send("PUT", "channel/", {"id": channel.pk, "priority": 3}),
    ]

    for answer in answers:
        text = answer.content.decode()
        assert "us-east-1" in text
        assert not [secret for secret in ("sk-one", "AKIA", "s3cret") if secret in text]


def test_a_record_has_the_contracts_members_and_no_null(admin: Caller) -> None:
    channel = made(admin)

    data = admin.get(f"channel/{channel.pk}")["data"]

    assert set(data) == {
        "id", "type", "key", "status", "name", "weight", "created_time", "test_time", "response_time",
        "base_url", "other", "balance", "balance_updated_time", "models", "group", "used_quota",
        "model_mapping", "priority", "config", "system_prompt", "status_reason", "status_time", "breaker",
    }  # fmt: skip
    assert None not in data.values()


def test_a_partial_edit_changes_nothing_else_and_answers_the_whole(admin: Caller) -> None:
    channel = made(admin)

    data = admin.put("channel/", {"id": channel.pk, "priority": 5})["data"]

    assert (data["priority"], data["status"], data["models"], data["key"]) == (5, 1, FIELDS["models"], "")
    assert admin.put("channel/", {"id": channel.pk, "status": 2})["data"]["status"] == 2
    assert set(Ability.objects.values_list("enabled", "priority")) == {(False, 5)}


def test_a_whole_record_sent_back_keeps_key_and_counters(admin: Caller) -> None:
    channel = made(admin, model_mapping='{"a": "b"}')
    record = admin.get(f"channel/{channel.pk}")["data"]
    Channel.objects.filter(pk=channel.pk).update(used_quota=1234)

    admin.put("channel/", {**record, "model_mapping": "", "groups": ["x"], "auto_ban": 1, "openai_organization": None})

    channel.refresh_from_db()
    assert (channel.key, channel.used_quota, channel.model_mapping) == ("sk-one", 1234, "")


def test_an_edit_needs_an_id_that_exists(admin: Caller) -> None:
    assert admin.put("channel/", {"status": 1})["message"] == "WHERE conditions required"
    assert admin.put("channel/", {"id": 99, "status": 1})["message"] == "record not found"
    assert Ability.objects.count() == 0


def test_search_is_by_id_or_beginning_of_the_name(admin: Caller) -> None:
    channel = made(admin)

    assert [row["id"] for row in admin.get(f"channel/search?keyword={channel.pk}")["data"]] == [channel.pk]
    assert [row["id"] for row in admin.get("channel/search?keyword=ON")["data"]] == [channel.pk]
    assert admin.get("channel/search?keyword=%25")["data"] == []


def test_deleting(admin: Caller) -> None:
    channel, other = made(admin), made(admin, name="two")
    made(admin, name="three")

    assert admin.delete(f"channel/{channel.pk}/") == {"success": True, "message": ""}
    assert admin.delete("channel/abc")["message"] == "WHERE conditions required"
    admin.put("channel/", {"id": other.pk, "status": 2})
    assert admin.delete("channel/disabled") == {"success": True, "message": "", "data": 1}
    assert set(Channel.objects.values_list("name", flat=True)) == {"three"}
    assert Ability.objects.count() == 4


def test_a_lost_secret_does_not_take_the_list_away(admin: Caller) -> None:
    made(admin, config='{"region": "x"}')
    with connection.cursor() as cursor:
        cursor.execute("UPDATE channels SET config = 'v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'")

    assert admin.get("channel/")["data"][0]["config"] == ""


def test_the_catalogue_is_a_plain_list_of_models(admin: Caller) -> None:
    body = admin.get("channel/models")

    assert set(body) == {"object", "data"}
    assert all(isinstance(model["owned_by"], str) for model in body["data"])


def test_a_channel_that_answers_passes_its_test(admin: Caller, gpt: Channel, upstream: FakeUpstream) -> None:
    for model in ("", "?model=undefined", "?model=gpt-3.5-turbo"):
        body = admin.get(f"channel/test/{gpt.pk}{model}")
        assert set(body) == {"success", "message", "time", "modelName", "model"}
        assert body["success"], body
        assert body["model"] == body["modelName"] == "gpt-3.5-turbo"
        assert isinstance(body["time"], float)
    assert Channel.objects.get(pk=gpt.pk).test_time > 0


def test_a_channel_that_is_away_fails_with_time_zero(admin: Caller) -> None:
    channel = made(admin, base_url="http://127.0.0.1:9")

    body = admin.get(f"channel/test/{channel.pk}")

    assert (body["success"], body["time"], bool(body["message"])) == (False, 0, True)
    assert admin.get("channel/test/999")["message"] == "record not found"
