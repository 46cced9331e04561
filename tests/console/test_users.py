"""The pages about people: lists, forms, acts on one and on many, and what roles allow (console reference 5.4, 1.2)."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from accounts import levels
from accounts.models import Role, User
from accounts.refusals import NotPermitted
from accounts.services import create_token, create_user
from audit.models import AuditEntry
from audit.services import SYSTEM
from billing.models import EntryKind, LedgerEntry, Log
from billing.services import credit
from console.users.words import RULES
from options.services import set_option
from tests.console.conftest import PASSWORD, signed_in

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def at_adam(adam: User) -> Client:
    return signed_in(adam)


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def rows_of(answer: Any) -> list[int]:
    return [int(number) for number in re.findall(r'<tr id="user-(\d+)"', text_of(answer))]


def part(client: Client, address: str, target: str) -> Any:
    return client.get(address, headers={**HTMX, "HX-Target": target})


def people(count: int) -> None:
    there = User.objects.count()
    for number in range(there, there + count):
        User.objects.create(username=f"user {number:03}", email=f"u{number}@x.example", inviter_id=number)


def test_the_list_costs_the_same_at_10_and_at_60_rows(at_adam: Client) -> None:
    def cost(count: int) -> int:
        people(count)
        with CaptureQueriesContext(connection) as queries:
            assert len(rows_of(at_adam.get("/user?size=100"))) == User.objects.count()
        return len(queries)

    at_adam.get("/user")

    assert cost(10) == cost(50) <= 9


def test_a_script_gets_the_table_alone(at_adam: Client, alice: User) -> None:
    whole, table = at_adam.get("/user"), part(at_adam, "/user", "list")

    assert "<h1>Users</h1>" in text_of(whole)
    assert "<h1" not in text_of(table)
    assert rows_of(whole) == rows_of(table)
    assert "HX-Request" in table["Vary"]


def test_what_is_bound_is_called_as_elsewhere(at_adam: Client, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(wechat_id="w", lark_id="l")
    at_adam.cookies["django_language"] = "zh-hans"

    page = text_of(at_adam.get(f"/user/{alice.pk}/"))

    assert "微信, 飞书" in page


def test_all_that_a_lost_filter_found_is_nobody(at_adam: Client, alice: User) -> None:
    """The group of the list has lost its factor meanwhile: everybody is not who was seen."""
    answer = at_adam.post("/user/bulk", {"action": "disable", "all": "yes", "query": "group=lost"}, follow=True)

    assert "Choose at least one user." in text_of(answer)


def test_filters_and_order_are_in_the_address(at_adam: Client, alice: User, adam: User) -> None:
    """D3, D30: the database sorts and searches; ids are found, deleted accounts are not."""
    bob = create_user(username="bob", password=PASSWORD, group="vip")
    credit(alice.pk, 500_000, kind=EntryKind.OPENING)
    create_user(username="gone", password=PASSWORD)
    User.objects.filter(username="gone").update(status=3)

    assert rows_of(at_adam.get("/user?sort=number")) == sorted([alice.pk, adam.pk, bob.pk])
    assert rows_of(at_adam.get("/user?sort=-remaining"))[0] == alice.pk
    assert rows_of(at_adam.get("/user?q=LICE")) == [alice.pk]
    assert rows_of(at_adam.get(f"/user?q={bob.pk}&role=1&status=1"))[0] == bob.pk
    assert rows_of(at_adam.get("/user?group=vip")) == [bob.pk]
    assert rows_of(at_adam.get("/user?bound=email")) == [alice.pk]
    assert set(rows_of(at_adam.get("/user?below=0.50"))) == {adam.pk, bob.pk}
    assert rows_of(at_adam.get("/user?role=10")) == [adam.pk]
    assert "Nothing matches these filters." in text_of(at_adam.get("/user?q=nobody-of-this-name"))


def test_an_admin_sees_equals_but_is_offered_nothing_about_them(at_adam: Client, adam: User, root: User) -> None:
    page = text_of(at_adam.get("/user"))

    assert f'href="/user/{root.pk}/"' not in page
    assert f'action="/user/{adam.pk}/status"' not in page
    for address in (f"/user/{root.pk}/", f"/user/edit/{root.pk}", f"/user/{root.pk}/keys", f"/user/{root.pk}/quota"):
        assert at_adam.get(address).status_code == 403
    assert at_adam.post(f"/user/{root.pk}/status", {"action": "disable"}).status_code == 403
    assert at_adam.post(f"/user/{root.pk}/delete/ask", {"typed": "root"}).status_code == 403


def test_root_is_never_disabled_demoted_or_deleted(at_root: Client, root: User) -> None:
    at_root.post(f"/user/{root.pk}/status", {"action": "disable"})
    at_root.post(f"/user/{root.pk}/demote/ask")
    answer = at_root.post(f"/user/{root.pk}/delete/ask", {"typed": "root"}, follow=True)

    assert "The root account cannot be deleted." in text_of(answer)
    assert (User.objects.get().role, User.objects.get().status) == (100, 1)


def test_a_new_account_gets_role_group_and_balance(at_root: Client) -> None:
    set_option(SYSTEM, "QuotaForNewUser", "100")
    fields = {
        "username": "carol", "password": "carol's password", "display_name": "Carol", "group": "vip", "role": "10",
        "quota_0": "1.5", "quota_1": "dollars", "must_change": "on",
    }  # fmt: skip

    answer = at_root.post("/user/add", fields)

    carol = User.objects.get(username="carol")
    assert (answer.status_code, answer["Location"]) == (302, "/user")
    assert (carol.role, carol.group, carol.quota, carol.must_change_password) == (10, "vip", 750_100, True)
    assert carol.check_password("carol's password")
    assert carol.tokens.count() == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"username": "alice"}, "This name is taken. Choose another one."),
        ({"username": ""}, "This field is required."),
        ({"username": "аlice"}, "A name has 1 to 64 characters, no blanks around it, and the letters of one script."),
        ({"password": "short"}, "Ensure this value has at least 8 characters (it has 5)."),
        ({"role": "10"}, "Select a valid choice. 10 is not one of the available choices."),
        ({"group": "none"}, "Select a valid choice. none is not one of the available choices."),
        ({"quota_0": "much"}, "Enter a number."),
    ],
)
def test_a_new_account_that_cannot_be_says_why(at_adam: Client, alice: User, change: dict[str, str], says: str) -> None:
    fields = {"username": "carol", "password": "carol's password", "group": "default", "role": "1", **change}

    with translation.override("en"):
        answer = at_adam.post("/user/add", fields, headers={**HTMX, "HX-Target": "drawer-body"})

    assert answer.status_code == 422
    assert says in text_of(answer).replace("&#x27;", "'")
    assert "<html" not in text_of(answer)
    assert User.objects.count() == 2


def test_an_edit_changes_what_the_form_has_and_nothing_else(at_adam: Client, alice: User) -> None:
    """D24: a display name can be emptied. D33: other columns are not taken."""
    fields = {
        "username": "alicia", "display_name": "", "password": "", "group": "vip", "next": "/user?q=ali",
        "role": "100", "quota": "999", "aff_code": "MINE", "used_quota": "1", "request_count": "1",
    }  # fmt: skip

    answer = at_adam.post(f"/user/edit/{alice.pk}", fields)

    after = User.objects.get(pk=alice.pk)
    assert answer["Location"] == "/user?q=ali"
    assert (after.username, after.display_name, after.group) == ("alicia", "", "vip")
    assert (after.role, after.quota, after.used_quota, after.request_count) == (1, 0, 0, 0)
    assert after.aff_code == alice.aff_code
    assert after.check_password(PASSWORD)


def test_cancel_leads_back_to_the_list_with_its_filters(at_adam: Client, alice: User) -> None:
    """D32."""
    page = text_of(at_adam.get(f"/user/edit/{alice.pk}?next=/user%3Fq%3Dali%26page%3D2"))

    assert 'href="/user?q=ali&amp;page=2" data-close>Cancel' in page


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        ({"how": "add", "amount_0": "2", "amount_1": "dollars"}, 1_500_000),
        ({"how": "subtract", "amount_0": "499999", "amount_1": "points"}, 1),
        ({"how": "set", "amount_0": "0", "amount_1": "points"}, 0),
    ],
)
def test_a_balance_is_corrected_with_a_reason(at_adam: Client, alice: User, fields: dict[str, str], after: int) -> None:
    credit(alice.pk, 500_000, kind=EntryKind.OPENING)

    at_adam.post(f"/user/{alice.pk}/quota", {**fields, "reason": "ticket 12", "once": "a" * 32})
    at_adam.post(f"/user/{alice.pk}/quota", {**fields, "reason": "ticket 12", "once": "a" * 32})

    assert User.objects.get(pk=alice.pk).quota == after
    assert LedgerEntry.objects.filter(kind="admin", note="ticket 12").count() == 1
    assert AuditEntry.objects.get(action="user.quota").detail["reason"] == "ticket 12"
    assert Log.objects.get().content.endswith("：ticket 12")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"how": "subtract", "amount_0": "1"}, "The balance would fall below what open calls hold"),
        ({"how": "add", "amount_0": "0"}, "Enter more than 0."),
        ({"how": "add", "amount_0": "1", "reason": ""}, "This field is required."),
        ({"how": "add", "amount_0": "-5"}, "The amount must be between 0 and 1000000000000000 points."),
    ],
)
def test_a_correction_that_cannot_be_says_why(at_adam: Client, alice: User, fields: dict[str, str], says: str) -> None:
    answer = at_adam.post(f"/user/{alice.pk}/quota", {"amount_1": "points", "reason": "x", **fields})

    assert answer.status_code == 422
    assert says in text_of(answer)
    assert not LedgerEntry.objects.exists()


def test_a_row_is_switched_by_itself(at_adam: Client, alice: User) -> None:
    answer = at_adam.post(f"/user/{alice.pk}/status", {"action": "disable"}, headers=HTMX)

    assert User.objects.get(pk=alice.pk).status == 2
    assert rows_of(answer) == [alice.pk]
    assert "is disabled: sessions and keys are refused." in text_of(answer)
    assert at_adam.post(f"/user/{alice.pk}/status", {"action": "enable"})["Location"] == "/user"
    assert User.objects.get(pk=alice.pk).status == 1
    assert at_adam.get(f"/user/{alice.pk}/status").status_code == 405


def test_a_disabled_persons_session_is_refused_at_once(at_adam: Client, alice: User) -> None:
    """D1."""
    theirs = signed_in(alice)
    assert theirs.get("/token").status_code == 200

    at_adam.post(f"/user/{alice.pk}/status", {"action": "disable"})

    assert theirs.get("/token").status_code == 302


def test_deleting_wants_the_name_typed(at_adam: Client, alice: User) -> None:
    asked = part(at_adam, f"/user/{alice.pk}/delete/ask", "dialog-body")
    refused = at_adam.post(f"/user/{alice.pk}/delete/ask", {"typed": "alic"}, follow=True)

    assert "Logs and ledger stay" in text_of(asked)
    assert "<html" not in text_of(asked)
    assert "Nothing is deleted" in text_of(refused)
    at_adam.post(f"/user/{alice.pk}/delete/ask", {"typed": "alice"})
    assert User.objects.get(pk=alice.pk).status == 3
    assert at_adam.get(f"/user/{alice.pk}/").status_code == 404


def test_only_root_promotes_and_demotes(at_adam: Client, at_root: Client, alice: User) -> None:
    refused = at_adam.post(f"/user/{alice.pk}/promote/ask", follow=True)
    assert "Only root may make somebody an admin." in text_of(refused)

    at_root.post(f"/user/{alice.pk}/promote/ask")
    assert User.objects.get(pk=alice.pk).role == Role.ADMIN
    assert "This account is an admin already." in text_of(at_root.post(f"/user/{alice.pk}/promote/ask", follow=True))
    at_root.post(f"/user/{alice.pk}/demote/ask")
    assert User.objects.get(pk=alice.pk).role == Role.COMMON
    assert at_root.post(f"/user/{alice.pk}/crown/ask").status_code == 404


def test_signing_out_everywhere_ends_sessions(at_adam: Client, alice: User) -> None:
    theirs = signed_in(alice)

    answer = at_adam.post(f"/user/{alice.pk}/sign-out/ask", follow=True)

    assert "1 session is ended." in text_of(answer)
    assert theirs.get("/token").status_code == 302


def test_a_reset_link_is_mailed_or_why_not_is_told(at_adam: Client, alice: User) -> None:
    assert "no SMTP server is set up" in text_of(at_adam.post(f"/user/{alice.pk}/reset/ask", follow=True))
    set_option(SYSTEM, "SMTPServer", "mail.example")
    set_option(SYSTEM, "SMTPAccount", "gateway@x.example")
    answer = at_adam.post(f"/user/{alice.pk}/reset/ask", follow=True)

    assert "A link to choose a new password is on its way to Alice@example.com." in text_of(answer)


def bulk(client: Client, action: str, **fields: Any) -> Any:
    return client.post("/user/bulk", {"action": action, **fields}, headers={**HTMX, "HX-Target": "dialog-body"})


def planned_of(answer: Any) -> str:
    found = re.search(r'name="planned" value="([\d,]*)"', text_of(answer))
    assert found
    return found[1]


def test_many_are_changed_after_a_preview_and_only_those_it_named(at_adam: Client, alice: User, root: User) -> None:
    people(3)
    ids = list(User.objects.filter(role=1).values_list("pk", flat=True))

    preview = bulk(at_adam, "disable", ids=[*ids, root.pk])
    create_user(username="late", password=PASSWORD)

    assert "Disable: 4 users" in text_of(preview)
    assert "You may not change accounts of your own role or a higher one." in text_of(preview)
    assert not User.objects.filter(status=2).exists()
    answer = bulk(at_adam, "disable", planned=planned_of(preview), confirmed="yes", next="/user?group=default")
    assert answer["HX-Redirect"] == "/user?group=default"
    assert User.objects.filter(status=2).count() == 4
    assert AuditEntry.objects.get(action="user.many.disable").detail["count"] == 4


def test_all_that_the_filters_find_can_be_meant(at_adam: Client, alice: User) -> None:
    people(3)

    preview = bulk(at_adam, "group", all="yes", query="q=user+00&sort=name&page=1")

    assert "Set group: 3 users" in text_of(preview)
    bulk(at_adam, "group", planned=planned_of(preview), confirmed="yes", group="svip")
    assert set(User.objects.filter(group="svip").values_list("username", flat=True)) == {
        "user 002", "user 003", "user 004",
    }  # fmt: skip


def test_many_get_points_once(at_adam: Client, alice: User) -> None:
    preview = bulk(at_adam, "quota", ids=[alice.pk])
    refused = bulk(at_adam, "quota", planned=planned_of(preview), confirmed="yes", amount_0="0", reason="x")
    assert refused.status_code == 422

    fields = {"amount_0": "3", "amount_1": "dollars", "reason": "outage", "once": "c" * 32}
    for _time in range(2):
        bulk(at_adam, "quota", planned=planned_of(preview), confirmed="yes", **fields)
    assert User.objects.get(pk=alice.pk).quota == 1_500_000


def test_many_without_anybody_or_without_an_act_says_so(at_adam: Client) -> None:
    assert "Choose at least one user." in text_of(at_adam.post("/user/bulk", {"action": "disable"}, follow=True))
    assert "Choose what to do." in text_of(at_adam.post("/user/bulk", {"action": "crown"}, follow=True))


@pytest.mark.parametrize("tab", ["", "keys", "logs", "top-ups", "audit"])
def test_each_tab_of_a_person_costs_the_same_at_10_and_at_60_rows(at_root: Client, alice: User, tab: str) -> None:
    def fill(count: int) -> None:
        for number in range(count):
            create_token(user_id=alice.pk, name=f"key {number}", unlimited_quota=True)
            credit(alice.pk, 1, kind=EntryKind.TOP_UP, actor_id=number)
            Log.objects.create(user_id=alice.pk, created_at=1, content=f"line {number}")
            AuditEntry.objects.create(created_at=1, actor_id=alice.pk, action="token.create")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert at_root.get(f"/user/{alice.pk}/{tab}?size=100").status_code == 200
        return len(queries)

    fill(10)
    cost()
    ten = cost()
    fill(50)

    assert cost() == ten <= 9


def test_a_persons_keys_are_masked(at_root: Client, alice: User) -> None:
    """D50."""
    token = create_token(user_id=alice.pk, name="work", unlimited_quota=True)

    page = text_of(at_root.get(f"/user/{alice.pk}/keys"))

    assert token.key not in page
    assert f"sk-{token.key[:4]}…{token.key[-4:]}" in page


def test_an_admin_sees_own_acts_alone_on_a_persons_page(
    at_adam: Client, adam: User, at_root: Client, alice: User
) -> None:
    at_root.post(f"/user/{alice.pk}/sign-out/ask")
    at_adam.post(f"/user/{alice.pk}/status", {"action": "disable"})

    seen_by_adam = text_of(at_adam.get(f"/user/{alice.pk}/audit"))
    seen_by_root = text_of(at_root.get(f"/user/{alice.pk}/audit"))

    assert ("user.sign_out" in seen_by_adam, "user.update" in seen_by_adam) == (False, True)
    assert ("user.sign_out" in seen_by_root, "user.update" in seen_by_root) == (True, True)


def test_the_download_follows_the_filters_and_neutralises_names(at_adam: Client, alice: User) -> None:
    create_user(username="=cmd()", password=PASSWORD)

    answer = at_adam.get("/user/export?role=1")
    table = list(csv.reader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))

    assert [row[1] for row in table] == ["username", "'=cmd()", "alice"]
    assert PASSWORD not in str(table)
    assert AuditEntry.objects.get(action="user.export").detail == {"query": "role=1"}


def test_every_rule_of_roles_has_its_words() -> None:
    people = [User(pk=number, role=role) for number, role in enumerate((1, 10, 100))]
    told = set()
    for by in people:
        for target in people:
            for deed in (levels.may_read, levels.may_update, levels.may_delete):
                told |= refusal_of(deed, by, target)
            told |= refusal_of(levels.may_create, by, target.role) | refusal_of(levels.may_delete_self, by)
            told |= refusal_of(levels.may_update, by, target, 100)
            for action in levels.MANAGE:
                told |= refusal_of(levels.may_manage, by, target, action)

    assert len(told) > 8
    assert told - set(RULES) == set()


def refusal_of(rule: Any, *arguments: Any) -> set[str]:
    try:
        rule(*arguments)
    except NotPermitted as refusal:
        return {str(refusal)}
    return set()


def test_root_alone_removes_second_factors(at_adam: Client, at_root: Client, alice: User) -> None:
    assert "Only root may do this." in text_of(at_adam.post(f"/user/{alice.pk}/factors/ask", follow=True))
    answer = at_root.post(f"/user/{alice.pk}/factors/ask", follow=True)

    assert "0 second factors are removed." in text_of(answer)
    assert AuditEntry.objects.get(action="user.factor.reset").target == f"user:{alice.pk}"
