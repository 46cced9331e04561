"""The root that the first start made, and the root that comes."""

from __future__ import annotations

import bcrypt
from django.utils import timezone

from accounts import callers
from accounts.models import Token, User
from accounts.services import access_token_digest, create_user, seed_root
from billing.models import EntryKind, LedgerEntry
from billing.services import credit
from tests.importer import one_api
from tests.importer.conftest import Import
from tests.importer.one_api import OldDatabase

OUR_TOKEN = "RootTokenOfTheOperator"
OUR_ACCESS_TOKEN = "b" * 32


def test_an_unused_root_gives_way(small: OldDatabase, bring: Import):
    seed_root("a password of the start", "", "")

    report = bring(small)

    assert report.ok, report.as_text()
    root = User.objects.get(username="root")
    assert root.check_password(one_api.PASSWORD)
    assert root.access_token_digest == access_token_digest(one_api.ROOT_ACCESS_TOKEN)
    assert [entry.amount for entry in LedgerEntry.objects.filter(user_id=1)] == [500_000_000_000_000]


def test_another_name_of_the_old_root_is_kept(small: OldDatabase, bring: Import):
    seed_root(None, "", "")
    small.run("UPDATE users SET username = 'boss', id = 40 WHERE id = 1", "DELETE FROM tokens", "DELETE FROM logs")

    report = bring(small)

    assert report.ok, report.as_text()
    assert list(User.objects.filter(role=100).values_list("pk", "username")) == [(40, "boss")]


def test_the_token_asked_for_at_the_first_start_goes_to_the_new_root(small: OldDatabase, bring: Import):
    seed_root(None, OUR_TOKEN, "")

    report = bring(small)

    caller = callers.find(OUR_TOKEN)
    assert caller is not None
    assert (caller.user_id, caller.token_id, caller.unlimited) == (1, 11, True)  # the source uses 1 to 10
    assert "takes over its token" in report.root
    assert bring(small).ok


def test_a_token_the_source_has_too_is_there_once(small: OldDatabase, bring: Import):
    seed_root(None, one_api.key(1), "")

    assert bring(small).ok
    assert Token.objects.count() == 10


def test_the_access_token_asked_for_is_kept_where_the_old_root_has_none(small: OldDatabase, bring: Import):
    seed_root(None, "", OUR_ACCESS_TOKEN)
    small.run("UPDATE users SET access_token = NULL WHERE id = 1")

    assert bring(small).ok
    assert User.objects.get(username="root").access_token_digest == access_token_digest(OUR_ACCESS_TOKEN)


def test_the_password_everybody_knows_must_be_changed(small: OldDatabase, bring: Import):
    known = bcrypt.hashpw(b"123456", bcrypt.gensalt(4)).decode()
    small.run(f"UPDATE users SET password = '{known}' WHERE id = 1")

    report = bring(small)

    assert User.objects.get(username="root").must_change_password
    assert any("123456" in warning for warning in report.warnings)


def test_a_root_who_signed_in_does_not_give_way_unasked(small: OldDatabase, bring: Import):
    seed_root(None, OUR_TOKEN, "")
    User.objects.update(last_login=timezone.now())

    report = bring(small)

    assert not report.ok
    assert any("'root'" in str(note) for note in report.clashes)
    assert User.objects.count() == 1

    assert bring(small, replace_root=True).ok
    assert User.objects.count() == 5


def test_a_root_who_paid_never_gives_way(small: OldDatabase, bring: Import):
    seed_root(None, "", "")
    credit(User.objects.get().pk, -5, kind=EntryKind.CHARGE)

    assert not bring(small, replace_root=True).ok
    assert User.objects.count() == 1


def test_without_a_root_at_the_source_ours_stays(old: OldDatabase, bring: Import):
    seed_root(None, "", "")
    taken = User.objects.get().pk
    old.add("users", one_api.user(taken + 1))

    report = bring(old)

    assert report.ok
    assert any("no enabled root" in warning for warning in report.warnings)
    assert User.objects.filter(username="root").exists()


def test_a_second_person_here_is_no_fresh_installation(small: OldDatabase, bring: Import):
    seed_root(None, "", "")
    create_user(username="carol", password="carol's password")

    assert not bring(small).ok
    assert User.objects.count() == 2
