"""What somebody else deletes between the look at a row and the act on it, as a button that is pressed twice does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Token, User
from accounts.services import create_token
from audit.services import SYSTEM
from console.codes import views as codes
from console.keys import views as keys
from redemptions.models import Redemption
from redemptions.services import create_codes
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db
KEY = {"name": "renamed", "lifetime": "never", "unlimited": "on"}
HTMX = {"hx-request": "true"}


def once_seen(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, rows: Any) -> None:
    """The row goes right after the function has found it."""
    finding: Callable[..., Any] = getattr(module, name)

    def find(*told: Any, **more: Any) -> Any:
        found = finding(*told, **more)
        rows.all().delete()
        return found

    monkeypatch.setattr(module, name, find)


@pytest.mark.parametrize(
    ("address", "fields"), [("edit/{}", KEY), ("{}/status", {"status": "2"}), ("{}/delete", {"confirmed": "yes"})]
)
def test_a_key(monkeypatch: pytest.MonkeyPatch, alice: User, address: str, fields: dict[str, str]) -> None:
    token = create_token(user_id=alice.pk, name="laptop", unlimited_quota=True)
    once_seen(monkeypatch, keys, "_own", Token.objects)

    assert signed_in(alice).post(f"/token/{address.format(token.pk)}", fields).status_code == 404


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "row"])
@pytest.mark.parametrize("act", ["status", "delete"])
def test_a_code(monkeypatch: pytest.MonkeyPatch, adam: User, act: str, headers: dict[str, str]) -> None:
    create_codes(SYSTEM, name="gift", count=1, quota=5)
    number = Redemption.objects.get().pk
    once_seen(monkeypatch, codes, "get_object_or_404", Redemption.objects)

    answer = signed_in(adam).post(f"/redemption/{number}/{act}", headers=headers)

    assert answer.status_code == (302 if act == "status" and not headers else 404)  # that list says it is gone
