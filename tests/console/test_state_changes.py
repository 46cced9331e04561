"""What changes state needs a form's token, and comes by POST: every address of the console, as root."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import URLPattern

from accounts.models import User
from tests.console.conftest import signed_in
from tests.console.test_who_may_see import PAGES, address_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("pattern", PAGES, ids=[str(one.pattern) or "home" for one in PAGES])
def test_a_post_without_the_forms_token_is_refused(pattern: URLPattern, root: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.cookies = signed_in(root).cookies

    answer = client.post(address_of(pattern), {"name": "x"})

    if getattr(pattern.callback, "csrf_exempt", False):
        pytest.fail(f"{pattern.pattern} takes forms from anywhere")
    assert answer.status_code in (403, 405)
    assert answer.status_code == 405 or "Form expired" in answer.content.decode()
