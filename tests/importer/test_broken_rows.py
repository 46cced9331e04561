"""Rows no check of today would let in: what can be taken is, the rest is told."""

from __future__ import annotations

from accounts import callers
from accounts.models import Token, User
from billing.models import Log
from channels_app import snapshot
from channels_app.models import Ability, Channel
from options import services as options
from options.models import Option
from redemptions.models import Redemption
from tests.importer import one_api
from tests.importer.conftest import Import
from tests.importer.one_api import OldDatabase


def notes(report, table: str) -> list[str]:
    return [str(note) for note in report.tables[table].notes]


def test_two_people_with_one_address(old: OldDatabase, bring: Import):
    shared = {"email": "Both@example.com", "github_id": "octocat"}
    old.add(
        "users", one_api.root(), one_api.user(2, **shared), one_api.user(3, **{**shared, "email": "both@EXAMPLE.com"})
    )

    report = bring(old)

    assert report.ok
    assert list(User.objects.filter(pk__gt=1).values_list("email", "github_id")) == [
        ("Both@example.com", "octocat"),
        ("", None),
    ]
    assert notes(report, "users") == [
        "users 3: email is user 2's; now none",
        "users 3: github_id is user 2's; now none",
    ]


def test_names_that_differ_in_case_only(old: OldDatabase, bring: Import):
    old.add("users", one_api.root(), one_api.user(2, username="Bob"), one_api.user(3, username="bob"))

    bring(old)

    assert list(User.objects.filter(pk__gt=1).order_by("pk").values_list("username", flat=True)) == ["Bob", "bob_3"]


def test_empty_identities_are_none(old: OldDatabase, bring: Import):
    old.add("users", one_api.root(), one_api.user(2), one_api.user(3, aff_code=None, email=None, access_token=None))

    assert bring(old).ok
    assert User.objects.filter(github_id=None, oidc_id=None).count() == 3
    assert User.objects.get(pk=3).email_key is None


def test_nulls_are_defaults(old: OldDatabase, bring: Import):
    empty = dict.fromkeys(one_api.user(2), None)
    old.add("users", one_api.root(), {**empty, "id": 2, "username": "null"})
    old.add("tokens", {**dict.fromkeys(one_api.token(1, 2), None), "id": 1, "user_id": 2, "key": one_api.key(1)})
    old.add("channels", {**dict.fromkeys(one_api.channel(1), None), "id": 1})
    old.add("redemptions", {**dict.fromkeys(one_api.redemption(1), None), "id": 1, "key": "c" * 32})
    old.add("logs", {**dict.fromkeys(one_api.log(1, 2), None), "id": 1})
    old.add("options", {"key": "Notice", "value": None})

    report = bring(old)

    assert report.ok, report.as_text()
    user, token, channel = User.objects.get(pk=2), Token.objects.get(pk=1), Channel.objects.get(pk=1)
    assert (user.role, user.status, user.quota, user.group) == (1, 1, 0, "default")
    assert not user.has_usable_password()
    assert (token.status, token.model_names, token.subnet, token.expired_time) == (1, "", "", -1)
    assert (channel.type, channel.group, channel.balance) == (0, "default", 0.0)
    assert Redemption.objects.get(pk=1).status == 2  # worth nothing
    assert Log.objects.get(pk=1).quota == 0


def test_quotas_below_zero_are_clamped_and_accounted_for(old: OldDatabase, bring: Import):
    old.add("users", one_api.root(quota=10), one_api.user(2, quota=-300))
    old.add("tokens", one_api.token(1, 2, remain_quota=-40), one_api.token(2, 2, remain_quota=60))

    report = bring(old)

    assert report.ok, report.as_text()
    quota, remain = (next(s for s in report.sums if s.name == name) for name in ("users.quota", "tokens.remain_quota"))
    assert (quota.source, quota.adjusted, quota.here) == (-290, 300, 10)
    assert (remain.source, remain.adjusted, remain.here) == (20, 40, 60)
    assert notes(report, "users") == ["users 2: quota was -300; now 0"]


def test_numbers_that_mean_nothing_are_disabled(old: OldDatabase, bring: Import):
    old.add("users", one_api.root(), one_api.user(2, status=9, role=7))
    old.add("tokens", one_api.token(1, 1, status=8))
    old.add("channels", one_api.channel(1, status=7))

    bring(old)

    user = User.objects.get(pk=2)
    assert (user.status, user.role) == (2, 1)
    assert Token.objects.get(pk=1).status == 2
    assert Channel.objects.get(pk=1).status == 2
    assert not Ability.objects.filter(enabled=True).exists()


def test_passwords_that_are_no_hash_are_set_anew(old: OldDatabase, bring: Import):
    old.add("users", one_api.root(), one_api.user(2, password="plain"), one_api.user(3, password=""))

    report = bring(old)

    assert not User.objects.get(pk=2).has_usable_password()
    assert not User.objects.get(pk=3).has_usable_password()
    assert notes(report, "users") == ["users 2: password is no bcrypt hash; it has to be set anew"]


def test_tokens_of_nobody_are_left_out(old: OldDatabase, bring: Import):
    old.add("users", one_api.root())
    old.add("tokens", one_api.token(1, 99, remain_quota=-5), one_api.token(2, 1))

    report = bring(old)

    assert report.ok, report.as_text()
    assert report.tables["tokens"].left_out == {"it has no owner": 1}
    assert callers.find(one_api.key(1)) is None


def test_options_that_cannot_be_used_keep_their_defaults(old: OldDatabase, bring: Import):
    old.add("users", one_api.root())
    values = {
        "ModelRatio": "{not json",
        "RetryTimes": "many",
        "NobodyKnowsThis": "1",
        "TurnstileCheckEnabled": "true",
        "SystemName": "kept",
        "SMTPToken": "mail secret",
    }
    old.add("options", *({"key": key, "value": value} for key, value in values.items()))

    report = bring(old)

    assert report.ok
    table = report.tables["options"]
    assert table.left_out == {"there is no such option here": 1, "its value is refused": 3}
    assert set(Option.objects.values_list("key", flat=True)) == {"SystemName", "SMTPToken"}
    assert options.load()["SMTPToken"] == "mail secret"
    assert "mail secret" not in report.as_text()


def test_an_option_that_was_set_here_stays(old: OldDatabase, bring: Import):
    from audit.services import SYSTEM

    options.set_option(SYSTEM, "SystemName", "ours")
    old.add("users", one_api.root())
    old.add("options", {"key": "SystemName", "value": "theirs"})

    report = bring(old)

    assert report.tables["options"].differing == 1
    assert options.load()["SystemName"] == "ours"


def test_channels_that_are_not_right_stay_visible_and_harm_nobody(old: OldDatabase, bring: Import):
    old.add("users", one_api.root())
    old.add(
        "channels",
        one_api.channel(1, model_mapping="{broken", models=" gpt-4o ,, gpt-4o," + "m" * 200, group=" vip , vip"),
        one_api.channel(2, type=999),
    )

    report = bring(old)

    assert report.ok
    assert Channel.objects.get(pk=1).model_mapping == "{broken"
    assert list(Ability.objects.filter(channel_id=1).values_list("group", "model")) == [("vip", "gpt-4o")]
    assert set(snapshot.load().channels) == {1}
    assert len(notes(report, "channels")) == 3


def test_a_text_with_nul_characters(old: OldDatabase, bring: Import):
    old.add("users", one_api.root(display_name="Ro\x00ot"))
    old.add("logs", one_api.log(1, 1, content="a\x00b", username="u" * 100))

    assert bring(old).ok
    assert User.objects.get(pk=1).display_name == "Root"
    log = Log.objects.get(pk=1)
    assert (log.content, log.username) == ("ab", "u" * 64)
