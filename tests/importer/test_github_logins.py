"""GitHub identities come over as logins; one that could pass for a number of GitHub's is marked."""

from __future__ import annotations

from accounts.models import User
from tests.importer import one_api
from tests.importer.conftest import Import
from tests.importer.one_api import OldDatabase


def test_a_login_of_digits_alone_is_marked_as_a_login(old: OldDatabase, bring: Import):
    old.add("users", one_api.root(), one_api.user(2, github_id="583231"), one_api.user(3, github_id="octocat5"))

    assert bring(old).ok

    assert list(User.objects.filter(pk__gt=1).order_by("pk").values_list("github_id", flat=True)) == [
        "login:583231",
        "octocat5",
    ]
    assert bring(old).tables["users"].unchanged == 3
