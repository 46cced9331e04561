"""Finding people, correcting their balances, acting on many of them, and what roles allow of it."""

from __future__ import annotations

import time

import pytest

from accounts import levels
from accounts.access import MailNotSetUp, NoAddress, mail_reset_link, sign_out_everywhere
from accounts.adjusting import AlreadyDone, How, adjust_quota
from accounts.finding import UserFilter, with_inviters
from accounts.management import act
from accounts.many import BulkAction, act_on_many, plan
from accounts.models import Role, User, UserStatus
from accounts.refusals import BadField, NotFound, NotPermitted
from accounts.services import create_user
from audit.models import AuditEntry
from audit.services import SYSTEM, Actor
from billing.models import LedgerEntry, Log
from billing.services import QuotaOutOfRange
from notices.models import OutboxMessage
from options.services import set_option

pytestmark = pytest.mark.django_db
ACTOR = Actor(1, "root")


@pytest.fixture
def root(db: None) -> User:
    return create_user(username="root", password="root's password", role=Role.ROOT)


@pytest.fixture
def adam(db: None) -> User:
    return create_user(username="adam", password="adam's password", role=Role.ADMIN)


@pytest.fixture
def eve(db: None) -> User:
    return create_user(username="eve", password="eve's password", role=Role.ADMIN)


def found(**wanted: object) -> set[str]:
    return set(UserFilter(**wanted).rows().values_list("username", flat=True))  # type: ignore[arg-type]


def test_search_is_by_part_of_name_address_or_display_name_or_by_number(alice: User, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(display_name="Robert 100%", email="b@x.example", email_key="b@x.example")

    assert found(text="LIC") == {"alice"}
    assert found(text="X.EXAMPLE") == {"bob"}
    assert found(text="OBERT") == {"bob"}
    assert found(text=str(alice.pk)) >= {"alice"}
    assert found(text="0%") == {"bob"}
    assert found(text="%") == {"bob"}
    assert found(text="9" * 30) == set()


def test_deleted_accounts_are_not_found(alice: User, bob: User, root: User) -> None:
    """D30."""
    act(root, ACTOR, bob.pk, "delete")

    assert found() == {"alice", "root"}
    assert found(text=str(bob.pk)) & {"bob"} == set()
    assert found(text="deleted_") == set()


def test_each_filter_narrows(alice: User, bob: User, adam: User) -> None:
    now = int(time.time())
    User.objects.filter(pk=alice.pk).update(group="vip", last_active=now, github_id="77", quota=10)
    User.objects.filter(pk=bob.pk).update(status=2, last_active=now - 8 * 86_400)

    assert found(group="vip") == {"alice"}
    assert found(role=10) == {"adam"}
    assert found(status=2) == {"bob"}
    assert found(bound="github") == {"alice"}
    assert found(below=1_000) == {"alice", "adam"}
    assert found(idle=7) == {"bob", "adam"}
    assert found(idle=9) == {"adam"}


def test_the_inviter_is_told_by_name(alice: User, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(inviter_id=alice.pk)

    names = {user.username: user.inviter_name for user in with_inviters(User.objects.all())}  # type: ignore[attr-defined]

    assert names == {"alice": "", "bob": "alice"}


@pytest.mark.parametrize(
    ("how", "amount", "after", "entry"),
    [(How.ADD, 500, 1_500, 500), (How.SUBTRACT, 400, 600, -400), (How.SET, 0, 0, -1_000), (How.SET, 7, 7, -993)],
)
def test_a_correction_is_in_ledger_log_and_audit(
    alice: User, adam: User, how: How, amount: int, after: int, entry: int
) -> None:
    """D24: a balance can be set to 0."""
    assert adjust_quota(adam, Actor(adam.pk, "adam"), alice.pk, how, amount, "refund 17") == (1_000, after)

    row = LedgerEntry.objects.latest("pk")
    assert (row.kind, row.amount, row.note, row.actor_id) == ("admin", entry, "refund 17", adam.pk)
    assert User.objects.get(pk=alice.pk).quota == after
    assert sum(LedgerEntry.objects.filter(user_id=alice.pk).values_list("amount", flat=True)) == after
    assert Log.objects.get().content.endswith("：refund 17")
    told = AuditEntry.objects.get(action="user.quota").detail
    assert (told["old"], told["new"], told["how"], told["reason"]) == (1_000, after, str(how), "refund 17")


def test_no_more_can_be_taken_than_open_calls_leave(alice: User, adam: User) -> None:
    User.objects.filter(pk=alice.pk).update(held=300)

    with pytest.raises(QuotaOutOfRange):
        adjust_quota(adam, ACTOR, alice.pk, How.SUBTRACT, 701, "x")
    with pytest.raises(BadField):
        adjust_quota(adam, ACTOR, alice.pk, How.ADD, -1, "x")

    assert adjust_quota(adam, ACTOR, alice.pk, How.SUBTRACT, 700, "x") == (1_000, 300)


def test_a_correction_sent_twice_is_made_once(alice: User, adam: User) -> None:
    adjust_quota(adam, ACTOR, alice.pk, How.ADD, 500, "x", once="a" * 32)

    with pytest.raises(AlreadyDone):
        adjust_quota(adam, ACTOR, alice.pk, How.ADD, 500, "x", once="a" * 32)

    assert User.objects.get(pk=alice.pk).quota == 1_500
    assert Log.objects.count() == 1


def test_an_admin_corrects_no_balance_of_admins_or_of_their_own(adam: User, eve: User, root: User) -> None:
    for target in (adam, eve, root):
        with pytest.raises(NotPermitted):
            adjust_quota(adam, ACTOR, target.pk, How.ADD, 1, "x")
    assert adjust_quota(root, ACTOR, adam.pk, How.ADD, 1, "x") == (0, 1)


ACTIONS = ("enable", "disable", "delete", "promote", "demote")
# Who may do what to whom (1.2): by → target → actions.
RULES = {
    ("adam", "alice"): {"enable", "disable", "delete"},
    ("adam", "eve"): set(),
    ("adam", "adam"): set(),
    ("adam", "root"): set(),
    ("root", "alice"): {"enable", "disable", "delete", "promote"},
    ("root", "adam"): {"enable", "disable", "delete", "demote"},
    ("root", "root"): {"enable"},
}


@pytest.mark.parametrize(("by", "target"), RULES, ids=["-".join(pair) for pair in RULES])
def test_roles_decide_what_may_be_done(by: str, target: str, alice: User, adam: User, eve: User, root: User) -> None:
    people = {"alice": alice, "adam": adam, "eve": eve, "root": root}

    assert levels.allowed(people[by], people[target]) == RULES[by, target]


def test_an_unknown_number_acts_on_nobody(root: User, alice: User) -> None:
    """D31: an empty name acted on the first account of the table."""
    with pytest.raises(NotFound):
        act(root, ACTOR, 0, "disable")
    assert User.objects.filter(status=UserStatus.ENABLED).count() == 2


def test_many_at_once_leaves_out_whom_one_may_not_change(alice: User, bob: User, adam: User, eve: User) -> None:
    ids = [alice.pk, bob.pk, adam.pk, eve.pk, 999_999]
    planned = plan(adam, BulkAction.DISABLE, ids)

    done = act_on_many(adam, ACTOR, BulkAction.DISABLE, ids)

    assert (planned.ids, [user.username for user, _why in planned.refused]) == ([alice.pk, bob.pk], ["adam", "eve"])
    assert done == 2
    assert found(status=2) == {"alice", "bob"}
    entry = AuditEntry.objects.get(action="user.many.disable")
    assert entry.detail == {"ids": [alice.pk, bob.pk], "count": 2}


def test_points_for_many_come_once_however_often_the_form_is_sent(alice: User, bob: User, adam: User) -> None:
    for _time in range(2):
        act_on_many(adam, ACTOR, BulkAction.QUOTA, [alice.pk, bob.pk], amount=250, reason="sorry", once="b" * 32)

    assert set(User.objects.filter(role=1).values_list("quota", flat=True)) == {1_250}
    assert LedgerEntry.objects.filter(kind="admin", note="sorry").count() == 2
    assert AuditEntry.objects.filter(action="user.many.quota").count() == 1


def test_one_refusal_among_many_changes_nobody(alice: User, bob: User, adam: User) -> None:
    with pytest.raises(QuotaOutOfRange):
        act_on_many(adam, ACTOR, BulkAction.QUOTA, [alice.pk, bob.pk], amount=10**15, reason="x")
    with pytest.raises(BadField):
        act_on_many(adam, ACTOR, BulkAction.GROUP, [alice.pk, bob.pk], group="a,b")

    assert set(User.objects.filter(role=1).values_list("quota", "group")) == {(1_000, "default")}


def test_a_group_for_many(alice: User, bob: User, adam: User) -> None:
    assert act_on_many(adam, ACTOR, BulkAction.GROUP, [alice.pk, bob.pk], group="vip") == 2
    assert found(group="vip") == {"alice", "bob"}


def test_signing_out_and_mailing_a_link_keep_to_the_roles(alice: User, adam: User, eve: User) -> None:
    for deed in (sign_out_everywhere, mail_reset_link):
        with pytest.raises(NotPermitted):
            deed(adam, ACTOR, eve.pk)
    assert sign_out_everywhere(adam, ACTOR, alice.pk) == 0
    assert AuditEntry.objects.filter(action="user.sign_out").count() == 1


def test_a_reset_link_wants_an_address_and_a_mail_server(alice: User, adam: User) -> None:
    with pytest.raises(NoAddress):
        mail_reset_link(adam, ACTOR, alice.pk)
    User.objects.filter(pk=alice.pk).update(email="a@x.example", email_key="a@x.example")
    with pytest.raises(MailNotSetUp):
        mail_reset_link(adam, ACTOR, alice.pk)
    for key, value in (("SMTPServer", "mail.example"), ("SMTPAccount", "gateway@x.example")):
        set_option(SYSTEM, key, value)

    assert mail_reset_link(adam, ACTOR, alice.pk) == "a@x.example"
    assert OutboxMessage.objects.get().recipient == "a@x.example"
