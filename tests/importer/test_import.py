"""What comes over, and that it works here."""

from __future__ import annotations

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.test import Client

from accounts import callers
from accounts.models import Role, Token, User
from accounts.services import find_by_access_token, seed_root
from billing.models import EntryKind, LedgerEntry, Log, UsageDay, UsageHour
from billing.usage_catch_up import catch_up
from channels_app.models import Ability, Channel
from importer.report import Report
from options import services as options
from options import versions
from redemptions.models import Redemption
from redemptions.services import redeem
from tests.importer import one_api
from tests.importer.conftest import Import
from tests.importer.one_api import OldDatabase


def counts() -> dict[str, int]:
    return {kind.__name__: kind._default_manager.count() for kind in (User, Token, Channel, Redemption, Log, Ability)}


def test_everything_comes_over_equal_by_count_and_sum(small: OldDatabase, bring: Import):
    report = bring(small)

    assert report.ok, report.as_text()
    assert counts() == {"User": 5, "Token": 10, "Channel": 3, "Redemption": 3, "Log": 20, "Ability": 12}
    assert {each.name: (each.source, each.here) for each in report.sums} == {
        "users.quota": (500_000_000_014_000, 500_000_000_014_000),  # root, and 2,000 + 3,000 + 4,000 + 5,000
        "users.used_quota": (140, 140),  # 20 logs of 7 points
        "users.request_count": (20, 20),
        "tokens.remain_quota": (5_000, 5_000),
        "tokens.used_quota": (200, 200),
        "channels.used_quota": (60, 60),  # 10 + 20 + 30
        "redemptions.quota": (300, 300),
        "logs.quota": (140, 140),
        "logs.prompt_tokens": (100, 100),
        "logs.completion_tokens": (40, 40),
    }
    assert not report.disagreements


def test_ids_are_kept(small: OldDatabase, bring: Import):
    bring(small)

    assert User.objects.get(username="user3").pk == 3
    assert Channel.objects.get(name="channel2").pk == 2
    assert Log.objects.get(request_id="2024010100000000000004").pk == 4


def test_ids_go_on_after_the_imported_ones(small: OldDatabase, bring: Import):
    bring(small)

    from accounts.services import create_token, create_user

    newcomer = create_user(username="newcomer", password="a new password")
    assert newcomer.pk > 5
    assert create_token(user_id=newcomer.pk).pk > 10


def test_each_balance_is_one_opening_entry(small: OldDatabase, bring: Import):
    report = bring(small)

    assert list(LedgerEntry.objects.filter(user_id=3).values_list("kind", "amount")) == [(EntryKind.OPENING, 3_000)]
    assert report.broken_books == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("added_between", [True, False])
def test_lines_brought_later_are_in_the_sums_of_usage(small: OldDatabase, bring: Import, added_between: bool):
    def added() -> int:
        return catch_up(lambda _seconds: False)

    assert bring(small, log_limit=5).ok
    if added_between:
        assert added() == 5
    assert bring(small).ok
    assert bring(small).ok
    assert added() == (0 if added_between else 20)

    for sums in (UsageHour, UsageDay):
        rows = list(sums.objects.values_list("requests", "quota"))
        assert [sum(column) for column in zip(*rows, strict=True)] == [20, 140]


def test_an_imported_user_signs_in_with_the_old_password(small: OldDatabase, bring: Import):
    bring(small)
    body = {"username": "user2", "password": one_api.PASSWORD}

    answer = Client().post("/api/user/login", body, content_type="application/json").json()

    assert answer["success"], answer
    stored = User.objects.get(pk=2).password
    assert identify_hasher(stored).algorithm != "bcrypt"  # replaced by the preferred one


def test_a_wrong_password_stays_wrong_however_long(small: OldDatabase, bring: Import):
    bring(small)
    body = {"username": "user2", "password": "x" * 100}  # bcrypt itself refuses more than 72 bytes

    answer = Client().post("/api/user/login", body, content_type="application/json")

    assert answer.status_code == 200
    assert answer.json()["success"] is False


def test_an_imported_token_names_its_caller(small: OldDatabase, bring: Import):
    bring(small)

    caller = callers.find(one_api.key(7))

    assert caller is not None
    assert (caller.token_id, caller.user_id, caller.remain_quota, caller.model_names) == (7, 2, 500, None)


def test_an_access_token_goes_on_working(small: OldDatabase, bring: Import):
    bring(small)

    found = find_by_access_token(f"{4:032x}")

    assert found is not None
    assert found.username == "user4"


def test_a_code_can_be_redeemed_here(small: OldDatabase, bring: Import):
    bring(small)

    assert redeem(2, f"{3:032x}") == 100


def test_channels_keep_their_credentials(old: OldDatabase, bring: Import):
    old.add("users", one_api.root())
    config = '{"region": "us-east-1", "sk": "secret"}'
    old.add("channels", one_api.channel(9, type=33, key="ak|sk|us-east-1", config=config, priority=5, weight=2))

    bring(old)

    channel = Channel.objects.get(pk=9)
    assert (channel.key, channel.config, channel.priority, channel.weight) == ("ak|sk|us-east-1", config, 5, 2)


def test_secrets_are_not_stored_as_they_were(small: OldDatabase, bring: Import):
    from django.db import connection

    bring(small)

    with connection.cursor() as cursor:
        for table in ("channels", "tokens", "redemptions", "options"):
            cursor.execute(f"SELECT * FROM {table}")
            stored = str(cursor.fetchall())
            assert "sk-upstream-1" not in stored
            assert one_api.key(1) not in stored
            assert f"{1:032x}" not in stored
            assert "a secret of GitHub's" not in stored


def test_options_are_checked_and_stored(small: OldDatabase, bring: Import):
    bring(small)

    texts = options.load().texts
    assert (texts["SystemName"], texts["RetryTimes"]) == ("The old house", "3")
    assert (texts["GitHubOAuthEnabled"], texts["GitHubClientSecret"]) == ("true", "a secret of GitHub's")


def test_the_versions_move(small: OldDatabase, bring: Import):
    before = versions.read()

    bring(small)

    after = versions.read()
    assert all(after[name] > before[name] for name in versions.NAMES)


def test_a_second_import_changes_nothing(small: OldDatabase, bring: Import):
    bring(small)
    before = (counts(), versions.read(), list(LedgerEntry.objects.values_list()), list(User.objects.values_list()))

    report = bring(small)

    assert report.ok, report.as_text()
    assert not report.changed
    assert {name: table.unchanged for name, table in report.tables.items()} == {
        "users": 5,
        "tokens": 10,
        "channels": 3,
        "abilities": 12,
        "options": 6,
        "redemptions": 3,
        "logs": 20,
    }
    after = (counts(), versions.read(), list(LedgerEntry.objects.values_list()), list(User.objects.values_list()))
    assert before == after


def test_rows_added_at_the_source_come_with_the_next_import(small: OldDatabase, bring: Import):
    bring(small)
    small.add("users", one_api.user(6))
    small.add("logs", one_api.log(21, 6))

    report = bring(small)

    assert report.ok
    assert (report.tables["users"].imported, report.tables["logs"].imported) == (1, 1)


def test_a_dry_run_writes_nothing_and_reports_the_same(small: OldDatabase, bring: Import):
    seed_root(None, "RootTokenOfTheOperator", "")
    before = (counts(), versions.read())

    dry = bring(small, dry_run=True)

    assert (counts(), versions.read()) == before
    real = bring(small)
    assert dry.ok
    assert told(dry) == told(real)


def told(report: Report) -> list[str]:
    """The text, without its first line and the two that only a real run has."""
    return [line for line in report.as_text().splitlines()[1:] if not line.startswith(("Done in", "Every balance is"))]


def test_only_the_newest_logs(small: OldDatabase, bring: Import):
    report = bring(small, log_limit=5)

    assert report.ok, report.as_text()
    assert sorted(Log.objects.values_list("pk", flat=True)) == [16, 17, 18, 19, 20]
    (logs,) = (each for each in report.sums if each.name == "logs.quota")
    assert (logs.source, logs.left_out, logs.here) == (140, 105, 35)


@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (20, 20), (50, 20)])
def test_a_limit_may_be_none_or_all(small: OldDatabase, bring: Import, limit: int, kept: int):
    report = bring(small, log_limit=limit)

    assert report.ok, report.as_text()
    assert Log.objects.count() == kept


def test_counters_that_disagree_with_the_logs_are_told_per_user(small: OldDatabase, bring: Import):
    small.run("UPDATE users SET used_quota = 100, request_count = 3 WHERE id = 4")  # 4 logs of 7 points

    report = bring(small)

    assert report.ok
    assert User.objects.get(pk=4).used_quota == 100
    (found,) = report.disagreements
    assert str(found) == "user 4 (user4): used_quota 100, logs 28 (+72); requests 3, logs 4 (-1)"


def test_a_deleted_user_leaves_a_row_for_the_books(small: OldDatabase, bring: Import):
    small.run("UPDATE users SET status = 3 WHERE id = 5")

    report = bring(small)

    assert report.ok, report.as_text()
    gone = User.objects.get(pk=5)
    assert gone.username.startswith("deleted_")
    assert (gone.email, gone.aff_code, gone.access_token_digest, gone.quota) == ("", None, None, 5_000)
    assert not gone.has_usable_password()
    assert report.tables["tokens"].left_out == {"its owner was deleted": 2}
    assert bring(small).tables["users"].unchanged == 5


def test_an_older_version_lacks_columns(tmp_path, bring: Import):
    without = ("users.oidc_id", "tokens.subnet", "channels.system_prompt", "logs.request_id", "logs.is_stream")
    with one_api.made(tmp_path / "older", without=without) as old:
        one_api.fill(old, users=2, tokens=2, channels=1, logs=2)

        report = bring(old)

    assert report.ok
    assert report.tables["users"].missing_columns == ["oidc_id"]
    assert report.tables["logs"].missing_columns == ["is_stream", "request_id"]
    assert "users: oidc_id" in report.as_text()


def test_abilities_are_made_from_the_channels(small: OldDatabase, bring: Import):
    small.run("DELETE FROM abilities WHERE channel_id = 1", "UPDATE channels SET status = 3 WHERE id = 2")
    small.add("abilities", *one_api.abilities(one_api.channel(77)))

    report = bring(small)

    assert Ability.objects.filter(channel_id=1, enabled=True).count() == 4
    assert Ability.objects.filter(channel_id=2, enabled=True).count() == 0
    assert report.tables["abilities"].left_out == {"its channel does not exist": 4}
    assert sorted(note.id for note in report.tables["abilities"].notes) == [4, 4]


def test_the_new_root_is_root(small: OldDatabase, bring: Import):
    bring(small)

    assert User.objects.get(role=Role.ROOT).username == "root"
