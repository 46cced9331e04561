"""/groups: the factors of option GroupRatio, and a guard against deleting what is in use (console reference 6.1)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User, UserStatus
from accounts.services import create_user
from audit.models import AuditEntry
from audit.services import SYSTEM
from billing import groups
from channels_app.services import create_channels
from options.services import load, set_options
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def channel(group: str) -> None:
    create_channels(SYSTEM, {"type": 1, "name": "c", "models": "gpt-4o", "group": group}, ["sk-x"])


def row(client: Client, name: str) -> Any:
    return next(one for one in client.get("/groups").context["list"].rows if one.name == name)


def test_users_and_channels_of_each_group_are_counted(at_root: Client, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(group="vip")
    channel("default,vip")
    channel("vip")

    found = row(at_root, "vip")

    assert (found.ratio, found.users, found.channels, found.deletable) == ("1", 1, 2, False)


def test_a_group_that_is_used_without_a_factor_is_told(at_root: Client) -> None:
    channel("forgotten")

    assert row(at_root, "forgotten").known is False
    assert "no factor: counts as 1" in text_of(at_root.get("/groups"))
    at_root.post("/groups/edit", {"name": "forgotten", "ratio": "2"})
    assert load()["GroupRatio"]["forgotten"] == Decimal(2)


def test_a_group_is_added_exactly(at_root: Client) -> None:
    answer = at_root.post("/groups/add", {"name": "half", "ratio": "0.333333"})

    assert answer.status_code == 302
    assert load()["GroupRatio"] == {
        "default": Decimal(1),
        "half": Decimal("0.333333"),
        "svip": Decimal(1),
        "vip": Decimal(1),
    }
    assert AuditEntry.objects.get(action="option.update").detail["after"] == {"GroupRatio": '{"half":0.333333}'}


@pytest.mark.parametrize(
    ("name", "ratio", "says"),
    [
        ("vip", "1", "There is a group of this name already."),
        ("a,b", "1", "A name has at most 64 visible characters and no comma."),
        ("new", "-1", "Ensure this value is greater than or equal to 0."),
        ("new", "1000001", "Ensure this value is less than or equal to 1000000."),
        ("new", "", "This field is required."),
        ("", "1", "This field is required."),
    ],
)
def test_what_cannot_be_a_group_is_refused_at_its_field(at_root: Client, name: str, ratio: str, says: str) -> None:
    answer = at_root.post("/groups/add", {"name": name, "ratio": ratio})

    assert (answer.status_code, says in text_of(answer)) == (422, True)
    assert len(load()["GroupRatio"]) == 3


def test_a_factor_is_changed(at_root: Client) -> None:
    at_root.post("/groups/edit", {"name": "vip", "ratio": "0.8"})

    assert load()["GroupRatio"]["vip"] == Decimal("0.8")


def test_a_group_nobody_is_in_is_deleted(at_root: Client, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(group="svip", status=UserStatus.DELETED)

    assert "Delete the group “svip”?" in text_of(at_root.get("/groups/delete?name=svip"))
    at_root.post("/groups/delete", {"name": "svip"})

    assert "svip" not in load()["GroupRatio"]


def test_a_group_with_users_or_channels_is_kept(at_root: Client, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(group="vip")
    channel("vip")

    answer = at_root.post("/groups/delete", {"name": "vip"}, follow=True)

    assert "The group “vip” is in use (1 user, 1 channel). Move them first." in text_of(answer)
    assert "vip" in load()["GroupRatio"]


def test_the_default_group_is_kept(root: User) -> None:
    User.objects.filter(pk=root.pk).update(group="vip")

    with pytest.raises(groups.GroupInUse):
        groups.delete(SYSTEM, "default")


def test_the_number_of_queries_is_the_same_for_many_groups(at_root: Client, django_assert_num_queries) -> None:
    at_root.get("/groups")
    with CaptureQueriesContext(connection) as few:
        at_root.get("/groups")
    set_options(SYSTEM, {"GroupRatio": "{" + ",".join(f'"g{n}": 1' for n in range(60)) + "}"})
    create_user(username="someone", password=None, group="g1")

    with django_assert_num_queries(len(few)):
        at_root.get("/groups?size=100")


def test_the_form_comes_into_the_drawer(at_root: Client) -> None:
    answer = at_root.get("/groups/add", headers={"HX-Request": "true", "HX-Target": "drawer-body"})

    assert (answer.status_code, "<html" in text_of(answer)) == (200, False)


def test_nobody_below_root_sees_them(adam: User) -> None:
    assert signed_in(adam).get("/groups").status_code == 403
