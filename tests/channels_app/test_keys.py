"""Finding channels by their key, showing a key, and copying a channel with and without it."""

from __future__ import annotations

import json

import pytest
from django.db import connection

from audit.models import AuditEntry
from channels_app import key_digests, services
from channels_app.copying import copy_channel
from channels_app.models import Ability, Channel, ChannelStatus
from channels_app.services import ChannelInvalid, ChannelMissing
from tests.channels_app.test_services import ROOT, lose_secrets, made

pytestmark = pytest.mark.django_db


class TestFindingByKey:
    def test_finds_every_channel_with_exactly_this_key(self) -> None:
        first, second = made(key="sk-same"), made(key="sk-same")
        made(key="sk-same-but-longer")

        assert key_digests.find(" sk-same\n") == [first.pk, second.pk]
        assert key_digests.find("sk-sam") == key_digests.find("") == []

    def test_follows_a_change_of_the_key(self) -> None:
        channel = made(key="sk-old")
        services.update_channel(ROOT, channel.pk, {"key": "sk-new"})

        assert key_digests.find("sk-old") == []
        assert key_digests.find("sk-new") == [channel.pk]

    def test_the_digest_says_nothing_of_the_key_to_who_has_no_secret(self, settings) -> None:
        ours = made(key="sk-1").key_digest
        settings.SECRET_KEY = "another"
        assert made(key="sk-1").key_digest != ours

    def test_still_finds_what_was_saved_under_an_older_secret(self, settings) -> None:
        channel = made(key="sk-1")
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
        assert key_digests.find("sk-1") == [channel.pk]

    def test_rows_without_a_digest_get_it_from_the_job_and_lost_keys_get_none(self) -> None:
        channel, lost, empty = made(key="sk-1"), made(key="sk-2"), made(type=33, key="", config={"ak": "a", "sk": "s"})
        lose_secrets(lost)
        Channel.objects.update(key_digest="")
        assert key_digests.find("sk-1") == []

        assert key_digests.fill() == 1

        assert key_digests.find("sk-1") == [channel.pk]
        assert set(Channel.objects.filter(key_digest="").values_list("pk", flat=True)) == {lost.pk, empty.pk}
        assert key_digests.fill() == 0


class TestRevealing:
    def test_tells_the_key_and_is_on_record_without_it(self) -> None:
        channel = made(key="sk-canary")

        assert services.reveal_key(ROOT, channel.pk) == "sk-canary"

        entry = AuditEntry.objects.get(action="channel.reveal")
        assert (entry.actor_name, entry.target) == ("root", f"channel:{channel.pk}")
        assert "canary" not in json.dumps(entry.detail)

    def test_a_lost_key_is_refused_and_nothing_is_on_record(self) -> None:
        channel = made()
        lose_secrets(channel)
        with pytest.raises(ChannelInvalid, match="can no longer be decrypted"):
            services.reveal_key(ROOT, channel.pk)
        with pytest.raises(ChannelMissing):
            services.reveal_key(ROOT, 999)
        assert not AuditEntry.objects.filter(action="channel.reveal").exists()


class TestCopying:
    def test_takes_everything_but_counters_tests_and_balance(self) -> None:
        original = made(key="sk-1", tags="a", notes="n", priority=7, weight=3, model_mapping='{"a":"b"}', group="x,y")
        Channel.objects.filter(pk=original.pk).update(
            used_quota=9, balance=5, balance_updated_time=4, test_time=3, response_time=2, test_outcome=1
        )

        copy = Channel.objects.get(pk=copy_channel(ROOT, original.pk, with_key=True))

        assert (copy.name, copy.key, copy.status) == ("gpt (copy)", "sk-1", ChannelStatus.ENABLED)
        assert (copy.tags, copy.notes, copy.priority, copy.weight, copy.group) == ("a", "n", 7, 3, "x,y")
        assert (copy.model_names, copy.model_mapping) == (original.model_names, '{"a":"b"}')
        assert (copy.used_quota, copy.balance, copy.balance_updated_time) == (0, 0, 0)
        assert (copy.test_time, copy.response_time, copy.test_outcome) == (0, 0, 0)
        assert Ability.objects.filter(channel=copy, enabled=True, priority=7).count() == 4
        assert key_digests.find("sk-1") == [original.pk, copy.pk]

    def test_without_the_key_has_no_secret_at_all_and_waits_disabled(self) -> None:
        original = made(type=33, key="AK|SK|us-west-2", config={"region": "us-west-2", "ak": "AK", "sk": "SK"})

        copy = Channel.objects.get(pk=copy_channel(ROOT, original.pk, with_key=False))

        assert (copy.key, copy.key_digest, copy.status) == ("", "", ChannelStatus.DISABLED)
        assert json.loads(copy.config) == {"region": "us-west-2"}
        assert not Ability.objects.filter(channel=copy, enabled=True).exists()

    def test_a_long_name_still_fits(self) -> None:
        copy = Channel.objects.get(pk=copy_channel(ROOT, made(name="n" * 128).pk, with_key=True))
        assert copy.name == "n" * 121 + " (copy)"

    def test_a_lost_secret_is_refused_and_nothing_is_made(self) -> None:
        original = made()
        lose_secrets(original)
        with pytest.raises(ChannelInvalid):
            copy_channel(ROOT, original.pk, with_key=True)
        assert Channel.objects.count() == 1


def test_keys_made_together_may_have_numbered_names() -> None:
    ids = services.create_channels(ROOT, {"name": "x" * 128, "models": "m"}, ["a", "b"], numbered=True)

    names = list(Channel.objects.filter(pk__in=ids).order_by("id").values_list("name", flat=True))
    assert names == ["x" * 125 + " #1", "x" * 125 + " #2"]
    (alone,) = services.create_channels(ROOT, {"name": "x", "models": "m"}, ["c"], numbered=True)
    assert Channel.objects.get(pk=alone).name == "x"


def test_the_digest_column_holds_no_key() -> None:
    made(key="sk-canary")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM channels")
        assert "canary" not in repr(cursor.fetchall())
