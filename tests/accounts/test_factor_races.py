"""Two at once with the same code: one gets past. Real threads with connections of their own."""

from __future__ import annotations

import threading

import pytest

from accounts.factors import services
from accounts.factors.checking import check_code
from accounts.models import User
from accounts.refusals import FactorExists, WrongSecondFactor
from accounts.services import create_user
from audit.services import SYSTEM
from tests.accounts.keys import code
from tests.config.test_locks import apart

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def outcomes(user: User, given: str) -> list[str]:
    together = threading.Barrier(4)

    def attempt() -> str:
        together.wait()
        try:
            return check_code(user, given)
        except WrongSecondFactor:
            return "refused"

    return sorted(one.result() for one in apart(attempt, 4))


@pytest.fixture
def dave(db: None) -> tuple[User, list[str]]:
    user = create_user(username="dave", password="dave's password")
    recovery = services.add_totp(user, SYSTEM, SECRET, code(SECRET))
    User.objects.update(totp_counter=0)
    return user, recovery


def test_of_four_who_bring_one_code_of_the_app_one_gets_past(dave: tuple[User, list[str]]) -> None:
    assert outcomes(dave[0], code(SECRET)) == ["refused", "refused", "refused", "totp"]


def test_of_four_who_bring_one_recovery_code_one_gets_past(dave: tuple[User, list[str]]) -> None:
    assert outcomes(dave[0], dave[1][0]) == ["recovery_codes", "refused", "refused", "refused"]
    assert services.factors_of(dave[0].pk).codes_left == 9


def test_of_two_apps_set_up_at_once_one_is_taken(db: None) -> None:
    user = create_user(username="erin", password="erin's password")
    together = threading.Barrier(2)

    def set_up() -> str:
        together.wait()
        try:
            services.add_totp(user, SYSTEM, SECRET, code(SECRET))
        except (FactorExists, WrongSecondFactor) as refusal:
            return type(refusal).__name__
        return "taken"

    assert sorted(one.result() for one in apart(set_up, 2)) == ["FactorExists", "taken"]
