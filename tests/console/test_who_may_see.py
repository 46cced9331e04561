"""Every address of the console says who may see it, and holds to it: guest, user, admin and root try each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import Role, User
from console import urls
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db

REDIRECTS = {"panel", "^panel/(?P<rest>[a-z].*)$", "django-admin"}  # to pages that guard themselves
SAMPLES = {"int": "999999", "str": "x", "slug": "x", "path": "x", "uuid": "00000000-0000-0000-0000-000000000000"}


def patterns(entries: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for entry in entries:
        if isinstance(entry, URLPattern):
            yield entry
        elif str(entry.pattern) != "django-admin/":
            yield from patterns(entry.url_patterns)


def address_of(pattern: URLPattern) -> str:
    path = "/" + str(pattern.pattern)
    for name, converter in pattern.pattern.converters.items():
        kind = type(converter).__name__.removesuffix("Converter").lower().replace("string", "str")
        path = path.replace(f"<{kind}:{name}>", SAMPLES[kind]).replace(f"<{name}>", SAMPLES[kind])
    return path


PAGES = [one for one in patterns(urls.urlpatterns) if str(one.pattern) not in REDIRECTS]


@pytest.mark.parametrize("pattern", PAGES, ids=[str(one.pattern) or "home" for one in PAGES])
def test_each_address_says_who_may_see_it(pattern: URLPattern) -> None:
    assert hasattr(pattern.callback, "console_role"), f"{pattern.pattern} has neither @page nor @public"


@pytest.mark.parametrize("pattern", PAGES, ids=[str(one.pattern) or "home" for one in PAGES])
@pytest.mark.parametrize("method", ["get", "post"])
def test_who_may_not_see_it_is_sent_away(pattern: URLPattern, method: str, alice: User, adam: User, root: User) -> None:
    needed = getattr(pattern.callback, "console_role", Role.ROOT)
    address = address_of(pattern)
    assert get_resolver().resolve(address).func is pattern.callback

    if needed > Role.GUEST:
        answer = getattr(Client(), method)(address)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/login")
    for person in (alice, adam, root):
        answer = getattr(signed_in(person), method)(address)
        if person.role < needed:
            assert answer.status_code == 403, (person.username, answer.status_code)
        else:
            assert answer.status_code not in (401, 403), (person.username, answer.status_code)
            assert answer.status_code < 500
