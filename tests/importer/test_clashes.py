"""What is taken here is told, all of it, and nothing is written."""

from __future__ import annotations

import pytest

from accounts.models import Token, User
from accounts.services import access_token_digest, create_token, create_user
from audit.services import SYSTEM
from billing.models import Log
from channels_app.models import Channel
from channels_app.services import create_channels
from redemptions.models import Redemption
from redemptions.services import code_digest
from tests.importer import one_api
from tests.importer.conftest import Import
from tests.importer.one_api import OldDatabase


@pytest.fixture
def carol(db: None) -> User:
    """A person here whose id the source does not use."""
    made = create_user(username="carol", password="carol's password")
    User.objects.filter(pk=made.pk).update(id=500)
    return User.objects.get(pk=500)


def told(old: OldDatabase, bring: Import) -> list[str]:
    report = bring(old)
    assert User.objects.count() == 1
    assert not Log.objects.filter(pk__lte=20, content__startswith="倍率").exists()
    assert all(not each.changed or each.clashes for each in [report])
    return [str(note) for note in report.clashes]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("username", "USER3", "users 3: username 'user3' belongs to user 500 here"),
        ("email", "User3@Example.com", "users 3: email 'user3@example.com' belongs to user 500 here"),
        ("aff_code", "A3", "users 3: invitation code 'A3' belongs to user 500 here"),
        ("github_id", "octocat", "users 3: github_id belongs to user 500 here"),
        ("access_token_digest", f"{3:032x}", "users 3: access token belongs to user 500 here"),
    ],
)
def test_what_people_cannot_share(small: OldDatabase, bring: Import, carol: User, field, value, message):
    small.run("UPDATE users SET github_id = 'octocat' WHERE id = 3")
    setattr(carol, field, access_token_digest(value) if field.endswith("digest") else value)
    carol.save()

    assert told(small, bring) == [message]


def test_an_id_that_is_taken(small: OldDatabase, bring: Import, carol: User):
    User.objects.filter(pk=500).update(id=4)

    assert told(small, bring) == ["users 4: the id is taken here by 'carol'"]


def test_token_ids_and_keys(small: OldDatabase, bring: Import, carol: User):
    token = create_token(user_id=500, key=one_api.key(9))
    Token.objects.filter(pk=token.pk).update(id=2)

    assert told(small, bring) == [
        "tokens 2: the id is taken here by a token of user 500",
        "tokens 9: its key belongs to token 2 here",
    ]


def test_channel_ids(small: OldDatabase, bring: Import, carol: User):
    (made,) = create_channels(SYSTEM, {"type": 1, "name": "ours", "models": "gpt-4o"}, ["sk-ours"])
    Channel.objects.filter(pk=made).update(id=3)

    assert told(small, bring) == ["channels 3: the id is taken here by 'ours'"]


def test_codes(small: OldDatabase, bring: Import, carol: User):
    Redemption.objects.create(pk=70, key="x", key_digest=code_digest(f"{2:032x}"), name="ours", quota=1, created_time=1)

    assert told(small, bring) == ["redemptions 2: the code is number 70 here"]


def test_log_ids(small: OldDatabase, bring: Import, carol: User):
    Log.objects.create(pk=6, user_id=500, created_at=1, content="ours")

    (clash,) = told(small, bring)
    assert clash.startswith("logs 6: the id is taken here")
    assert bring(small, log_limit=0).ok


def test_into_an_installation_with_people_where_nothing_clashes(small: OldDatabase, bring: Import, carol: User):
    report = bring(small)

    assert report.ok, report.as_text()
    assert User.objects.count() == 6


def test_a_person_here_of_the_same_name_and_id_is_not_taken_for_the_imported_one(small, bring: Import, db):
    made = create_user(username="user2", password="user2's password")
    User.objects.filter(pk=made.pk).update(id=2)

    assert "users 2: the id is taken here by 'user2'" in told(small, bring)


def test_what_was_changed_here_since_is_left_and_told(small: OldDatabase, bring: Import):
    bring(small)
    User.objects.filter(pk=3).update(group="vip")

    report = bring(small)

    assert report.ok
    assert report.tables["users"].differing == 1
    assert "users 3: is here with another group; left as it is here" in report.as_text()
    assert User.objects.get(pk=3).group == "vip"


def test_a_balance_changed_here_since_makes_the_sums_unequal(small: OldDatabase, bring: Import):
    from billing.models import EntryKind
    from billing.services import credit

    bring(small)
    credit(3, 50, kind=EntryKind.TOP_UP)

    report = bring(small)

    assert not report.ok
    assert "UNEQUAL by +50" in report.as_text()
