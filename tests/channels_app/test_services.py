"""Storing a channel: what is refused, what a partial change keeps, and which abilities follow."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection

from audit.models import AuditEntry
from audit.services import Actor
from channels_app import services
from channels_app.models import Ability, Channel, ChannelStatus
from channels_app.services import ChannelInvalid, ChannelMissing, create_channels, update_channel
from options import versions

pytestmark = pytest.mark.django_db

ROOT = Actor(1, "root", "127.0.0.1")
OPENAI: dict[str, Any] = {"type": 1, "name": "gpt", "models": "gpt-4o,gpt-4", "group": "default"}


def made(**fields: Any) -> Channel:
    (channel_id,) = create_channels(ROOT, {**OPENAI, **fields}, [fields.pop("key", "sk-1")])
    return Channel.objects.get(pk=channel_id)


def abilities(channel: Channel) -> set[tuple[str, str, bool, int]]:
    return set(Ability.objects.filter(channel=channel).values_list("group", "model", "enabled", "priority"))


def routing() -> int:
    return versions.read()[versions.ROUTING]


def lose_secrets(channel: Channel) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE channels SET config = %s WHERE id = %s", ["v1:" + "A" * 64, channel.pk])
        cursor.execute(
            f"UPDATE channels SET {connection.ops.quote_name('key')} = %s WHERE id = %s", ["v1:" + "A" * 64, channel.pk]
        )


def test_every_key_makes_a_channel_alike_in_all_else() -> None:
    ids = create_channels(ROOT, OPENAI, services.split_keys(1, "sk-1\r\n\n  sk-2  \n"))

    channels = Channel.objects.filter(pk__in=ids).order_by("id")
    assert [channel.key for channel in channels] == ["sk-1", "sk-2"]
    assert [channel.name for channel in channels] == ["gpt", "gpt"]
    assert AuditEntry.objects.filter(action="channel.create").count() == 2


def test_nothing_is_stored_when_one_key_is_bad() -> None:
    version = routing()
    with pytest.raises(ChannelInvalid, match=r"expected: APIKey\|SecretKey"):
        create_channels(ROOT, {**OPENAI, "type": 15}, ["id|secret", "nonsense"])

    assert not Channel.objects.exists()
    assert routing() == version


def test_no_key_is_refused() -> None:
    with pytest.raises(ChannelInvalid, match="at least one key"):
        create_channels(ROOT, OPENAI, ["", " "])


def test_a_type_whose_credential_is_in_config_needs_no_key() -> None:
    channel = made(type=33, key="", config={"region": "us-west-2", "ak": "AK", "sk": "SK"})

    assert channel.key == ""
    assert json.loads(channel.config) == {"region": "us-west-2", "ak": "AK", "sk": "SK"}


def test_a_key_of_several_lines_stays_one_where_the_type_has_such_keys() -> None:
    text = 'us-east5|project|{\n"type": "service_account"\n}'
    assert services.split_keys(42, text) == [text]


def test_the_key_is_encrypted_at_rest() -> None:
    channel = made()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {connection.ops.quote_name('key')} FROM channels WHERE id = %s", [channel.pk])
        (stored,) = cursor.fetchone()
    assert stored.startswith("v1:")
    assert "sk-1" not in stored


def test_defaults_of_a_new_channel() -> None:
    channel = made(status=0, group="", priority=None, weight=None)

    assert channel.status == ChannelStatus.ENABLED
    assert (channel.group, channel.priority, channel.weight) == ("default", 0, 0)
    assert channel.created_time > 0


def test_counters_sent_along_are_ignored() -> None:
    channel = made(id=77, used_quota=500, balance=9.0, created_time=1, is_edit=True, groups=["x"])

    assert channel.pk != 77
    assert (channel.used_quota, channel.balance) == (0, 0)
    assert channel.created_time > 1


def test_abilities_are_models_by_groups_trimmed_and_once() -> None:
    channel = made(models=" gpt-4o , gpt-4,,gpt-4o", group="default, vip ,vip", priority=3)

    assert channel.model_names == "gpt-4o,gpt-4"
    assert channel.group == "default,vip"
    assert abilities(channel) == {
        ("default", "gpt-4o", True, 3),
        ("default", "gpt-4", True, 3),
        ("vip", "gpt-4o", True, 3),
        ("vip", "gpt-4", True, 3),
    }


def test_a_channel_without_models_serves_nothing() -> None:
    assert abilities(made(models="")) == set()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"type": 52}, "type must be"),
        ({"type": "one"}, "type must be"),
        ({"type": True}, "type must be"),
        ({"base_url": "api.example.com"}, "http:// or https://"),
        ({"base_url": "ftp://api.example.com"}, "http:// or https://"),
        ({"base_url": "https://"}, "not a valid address"),
        ({"base_url": "https://api.example.com:port"}, "not a valid address"),
        ({"base_url": "https://api.example.com/a b"}, "not a valid address"),
        ({"base_url": "https://user:secret@api.example.com"}, "no user name"),
        ({"base_url": "https://api.example.com/#x"}, "no fragment"),
        ({"base_url": "https://api.example.com/?x=1"}, "no query"),
        ({"base_url": "https://api.example.com/" + "x" * 500}, "longer than 500"),
        ({"type": 8}, "needs a base URL"),
        ({"name": "x" * 129}, "longer than 128"),
        ({"models": "x" * 192}, "longer than 191"),
        ({"group": "x" * 65}, "longer than 64"),
        ({"models": ["gpt-4o"]}, "models must be text"),
        ({"name": "a\x00b"}, "NUL"),
        ({"model_mapping": "{"}, "model_mapping is not valid JSON"),
        ({"model_mapping": "[]"}, "model_mapping must be a JSON object"),
        ({"model_mapping": '{"a": 1}'}, "model_mapping: a must be text"),
        ({"config": "7"}, "config must be a JSON object"),
        ({"config": {"colour": "red"}}, "unknown member colour"),
        ({"config": {"proxy": "gopher://x"}}, "http://, https://, socks5://"),
        ({"config": {"proxy": "http://"}}, "not a valid address"),
        ({"priority": 10**10}, "priority must be"),
        ({"priority": "--5"}, "priority must be"),
        ({"weight": -1}, "weight must be"),
        ({"weight": 1.5}, "weight must be"),
        ({"status": 4}, "status must be"),
    ],
)
def test_refuses(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ChannelInvalid) as refusal:
        made(**fields)
    assert complaint in str(refusal.value)
    assert not Channel.objects.exists()


@pytest.mark.parametrize("key", ["sk 1", "sk-1\nX-Evil: 1", "sk-ключ", "a\x00b"])
def test_a_key_that_would_break_a_header_is_refused(key: str) -> None:
    with pytest.raises(ChannelInvalid):
        create_channels(ROOT, OPENAI, [key])


ADC = '{"type": "service_account", "client_email": "a@b.example", "private_key": "x|y"}'
VERTEX = {"region": "us-east5", "vertex_ai_project_id": "proj-1", "vertex_ai_adc": ADC}


@pytest.mark.parametrize(
    ("kind", "version", "wrong"), [(33, "invoke", "Invoke"), (33, "converse", "v1"), (35, "v1", "1"), (35, "v2", "v3")]
)
def test_a_choice_of_protocol_is_one_that_is_spoken(kind: int, version: str, wrong: str) -> None:
    config = {"region": "us-west-2", "ak": "AK", "sk": "SK"} if kind == 33 else {}
    channel = made(type=kind, key="key", config={**config, "api_version": version})
    assert json.loads(channel.config)["api_version"] == version
    with pytest.raises(ChannelInvalid, match="api_version"):
        update_channel(ROOT, channel.pk, {"config": {**config, "api_version": wrong}})


@pytest.mark.parametrize(("key", "config"), [("", VERTEX), (f"global|example.com:proj|{ADC}", {})])
def test_vertex_takes_its_credentials_in_boxes_or_as_the_key(key: str, config: dict[str, str]) -> None:
    channel = made(type=42, key=key, config=config)
    assert (channel.key, json.loads(channel.config or "{}")) == (key, config)


@pytest.mark.parametrize("key", ["us-east5", "us-east5|proj-1", "us-east5|proj-1|{}", f"Evil.example/|p|{ADC}", "AIza"])
def test_what_is_no_key_of_vertex_is_refused(key: str) -> None:
    with pytest.raises(ChannelInvalid, match="Region"):
        made(type=42, key=key, config=VERTEX)


@pytest.mark.parametrize(
    ("member", "text"),
    [("region", "evil.example/"), ("vertex_ai_project_id", "a/b"), ("vertex_ai_adc", "AIza"), ("vertex_ai_adc", "{}")],
)
def test_what_is_not_for_vertexs_boxes_is_refused(member: str, text: str) -> None:
    with pytest.raises(ChannelInvalid, match=member):
        made(type=42, key="", config={**VERTEX, member: text})
    channel = made(type=42, key="", config=VERTEX)
    with pytest.raises(ChannelInvalid, match=member):
        update_channel(ROOT, channel.pk, {"config": {**VERTEX, member: text}})
    update_channel(ROOT, channel.pk, {"config": {**VERTEX, "vertex_ai_adc": ""}})  # as it is stored


def test_a_proxy_channel_keeps_a_whole_authorization_value() -> None:
    assert made(type=43, base_url="https://up.example", models="", key="Basic dXNlcg==").key == "Basic dXNlcg=="


def test_the_base_url_loses_its_trailing_slash() -> None:
    assert made(base_url=" https://api.example.com/v1/ ").base_url == "https://api.example.com/v1"


def test_a_partial_change_keeps_everything_else() -> None:
    channel = made(priority=4, model_mapping='{"gpt-4": "gpt-4o"}', system_prompt="Be brief.")
    before = Channel.objects.filter(pk=channel.pk).values().get()

    update_channel(ROOT, channel.pk, {"id": channel.pk, "priority": 9})

    after = Channel.objects.filter(pk=channel.pk).values().get()
    assert {name for name in before if before[name] != after[name]} == {"priority"}  # type: ignore[literal-required]
    assert {priority for *_, priority in abilities(channel)} == {9}


def test_an_empty_value_keeps_what_cannot_be_empty_and_clears_the_rest() -> None:
    channel = made(
        base_url="https://a.example",
        other="x",
        model_mapping='{"a": "b"}',
        system_prompt="p",
        weight=5,
        config={"proxy": "http://p:1"},
    )
    empty = dict.fromkeys(
        ("key", "name", "models", "group", "config", "base_url", "other", "model_mapping", "system_prompt"), ""
    )

    update_channel(ROOT, channel.pk, {**empty, "type": 0, "status": 0, "weight": 0, "priority": None})

    channel.refresh_from_db()
    assert (channel.type, channel.key, channel.name, channel.group) == (1, "sk-1", "gpt", "default")
    assert (channel.model_names, channel.config) == ("gpt-4o,gpt-4", '{"proxy": "http://p:1"}')
    assert (channel.base_url, channel.other, channel.model_mapping, channel.system_prompt) == ("", "", "", "")
    assert (channel.weight, channel.status) == (0, ChannelStatus.ENABLED)


def test_secret_members_written_back_empty_are_kept() -> None:
    channel = made(type=33, key="", config={"region": "us-west-2", "ak": "AK", "sk": "SK"})
    shown = services.shown_config(channel)
    assert json.loads(shown) == {"region": "us-west-2", "ak": "", "sk": ""}

    update_channel(ROOT, channel.pk, {"config": json.dumps({**json.loads(shown), "region": "eu-west-1", "ak": "NEW"})})

    channel.refresh_from_db()
    assert json.loads(channel.config) == {"region": "eu-west-1", "ak": "NEW", "sk": "SK"}


def test_a_status_change_disables_and_enables_the_abilities() -> None:
    channel = made()

    update_channel(ROOT, channel.pk, {"status": 2})
    assert {enabled for _, _, enabled, _ in abilities(channel)} == {False}

    services.set_status(ROOT, channel.pk, 1)
    assert {enabled for _, _, enabled, _ in abilities(channel)} == {True}


def test_abilities_that_stay_are_the_same_rows() -> None:
    channel = made(models="gpt-4o,gpt-4")
    kept = Ability.objects.get(channel=channel, model="gpt-4o").pk

    update_channel(ROOT, channel.pk, {"models": "gpt-4o,o1"})

    assert Ability.objects.get(channel=channel, model="gpt-4o").pk == kept
    assert {model for _, model, _, _ in abilities(channel)} == {"gpt-4o", "o1"}


def test_another_upstream_forgets_what_was_learnt_of_the_old() -> None:
    channel = made()
    assert services.record_refuses_stream_options(channel.pk)
    assert not services.record_refuses_stream_options(channel.pk)

    update_channel(ROOT, channel.pk, {"name": "renamed"})
    channel.refresh_from_db()
    assert channel.refuses_stream_options

    update_channel(ROOT, channel.pk, {"base_url": "https://b.example"})
    channel.refresh_from_db()
    assert not channel.refuses_stream_options


def test_a_change_that_changes_nothing_leaves_the_version() -> None:
    channel = made()
    version = routing()

    update_channel(ROOT, channel.pk, {"id": channel.pk, "name": "gpt", "priority": 0, "config": "", "key": ""})

    assert routing() == version


def test_a_type_change_needs_a_key_of_the_new_type() -> None:
    channel = made()
    with pytest.raises(ChannelInvalid, match="APPID"):
        update_channel(ROOT, channel.pk, {"type": 18})


def test_a_channel_that_is_gone_is_missing() -> None:
    with pytest.raises(ChannelMissing):
        update_channel(ROOT, 404, {"name": "x"})
    with pytest.raises(ChannelMissing):
        services.set_status(ROOT, 404, 2)
    assert not services.disable_automatically(404, "gone")


def test_a_lost_secret_does_not_hinder_disabling_rekeying_and_deleting() -> None:
    channel = made(config={"proxy": "http://p:1"})
    lose_secrets(channel)

    services.set_status(ROOT, channel.pk, 2, "lost")
    update_channel(ROOT, channel.pk, {"key": "sk-2", "config": {"proxy": "http://q:1"}, "status": 1})
    channel.refresh_from_db()
    assert (channel.key, channel.config) == ("sk-2", '{"proxy": "http://q:1"}')

    lose_secrets(channel)
    assert services.delete_channel(ROOT, channel.pk)
    assert not Channel.objects.exists()


def test_a_lost_secret_that_would_have_to_be_kept_is_asked_for() -> None:
    channel = made(type=33, key="", config={"ak": "AK", "sk": "SK"})
    lose_secrets(channel)
    with pytest.raises(ChannelInvalid, match="enter it again"):
        update_channel(ROOT, channel.pk, {"config": {"ak": "", "sk": ""}})


def test_automatic_disabling_happens_once() -> None:
    channel = made()

    assert services.disable_automatically(channel.pk, "status 401")
    assert not services.disable_automatically(channel.pk, "status 401")

    channel.refresh_from_db()
    assert (channel.status, channel.status_reason) == (ChannelStatus.AUTO_DISABLED, "status 401")
    assert {enabled for _, _, enabled, _ in abilities(channel)} == {False}
    assert AuditEntry.objects.filter(action="channel.disable", actor_id=0).count() == 1


def test_automatic_disabling_leaves_what_a_person_disabled() -> None:
    channel = made()
    services.set_status(ROOT, channel.pk, 2)

    assert not services.disable_automatically(channel.pk, "status 401")
    channel.refresh_from_db()
    assert channel.status == ChannelStatus.DISABLED


def test_every_write_raises_the_routing_version() -> None:
    channel = made()
    seen = [routing()]
    for write in (
        lambda: update_channel(ROOT, channel.pk, {"weight": 2}),
        lambda: services.record_refuses_stream_options(channel.pk),
        lambda: services.disable_automatically(channel.pk, "x"),
        lambda: services.set_status(ROOT, channel.pk, 1),
        lambda: services.delete_channel(ROOT, channel.pk),
    ):
        write()
        seen.append(routing())
    assert seen == sorted(set(seen))


def test_deleting_takes_the_abilities_along() -> None:
    channel = made()
    assert services.delete_channel(ROOT, channel.pk)
    assert not services.delete_channel(ROOT, channel.pk)
    assert not Ability.objects.exists()


def test_deleting_the_disabled_counts_them() -> None:
    kept, by_hand, automatically = made(), made(), made()
    services.set_status(ROOT, by_hand.pk, 2)
    services.disable_automatically(automatically.pk, "x")

    assert services.delete_disabled(ROOT) == 2
    assert services.delete_disabled(ROOT) == 0
    assert list(Channel.objects.values_list("pk", flat=True)) == [kept.pk]
    assert set(Ability.objects.values_list("channel_id", flat=True)) == {kept.pk}


def test_usable_models_are_those_of_enabled_channels_sorted() -> None:
    made(models="b,a", group="default,vip")
    made(models="a,c")
    down = made(models="z")
    services.set_status(ROOT, down.pk, 2)

    assert services.usable_models("default") == ["a", "b", "c"]
    assert services.usable_models("vip") == ["a", "b"]
    assert services.usable_models("nobody") == []


def test_the_audit_names_fields_and_never_secrets() -> None:
    channel = made(config={"ak": "top-secret"})
    update_channel(ROOT, channel.pk, {"key": "sk-very-secret", "status": 2})

    entry = AuditEntry.objects.get(action="channel.update")
    assert entry.detail == {"fields": ["key", "status"], "status": 2}
    assert not AuditEntry.objects.filter(detail__icontains="secret").exists()
