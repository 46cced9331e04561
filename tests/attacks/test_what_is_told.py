"""Secrets are told to nobody who may not see them, and what people write stays text: every page, answer and download.

Both are looked for in the same walk through the console and /api, as guest, user, administrator and root.
"""

from __future__ import annotations

import logging

import pytest

from tests.attacks import world as making
from tests.attacks.crawling import crawl
from tests.attacks.world import ADMIN, GUEST, ROOT, TAG, USER, World

pytestmark = pytest.mark.django_db

PAGES = {GUEST: 20, USER: 60, ADMIN: 130, ROOT: 170}  # at least, that are answered with 200

TAGS = {GUEST: 1, USER: 10, ADMIN: 30, ROOT: 40}  # at least, that pages show as text


@pytest.fixture
def world(settings: object) -> World:
    settings.GLOBAL_API_RATE_LIMIT = settings.GLOBAL_WEB_RATE_LIMIT = 0  # type: ignore[attr-defined]
    return making.make()


@pytest.mark.parametrize("who", PAGES)
def test_no_answer_tells_a_secret_or_holds_a_tag_that_somebody_wrote(
    who: str, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answers = list(crawl(world.client(who), world, who))

    assert {one.address for one in answers if one.status >= 500} == set()
    hidden = {name: secret.text for name, secret in world.secrets.items() if who not in secret.seen_by}
    assert {(one.address, name) for one in answers for name, text in hidden.items() if text in one.text} == set()
    assert {one.address for one in answers if one.kind == "text/html" and TAG in one.text} == set()
    assert {name for name, secret in world.secrets.items() if secret.text in caplog.text} == set()

    # It was looked where there is something to see: many pages, one's own secrets, texts with their tags made harmless.
    assert len({one.address for one in answers if one.status == 200}) >= PAGES[who]
    shown = {name for name, secret in world.secrets.items() if any(secret.text in one.text for one in answers)}
    assert shown == {name for name, secret in world.secrets.items() if who in secret.seen_by}
    pages = "".join(one.text for one in answers if one.kind == "text/html")
    assert sum(tag.replace("<", "&lt;").replace(">", "&gt;") in pages for tag in world.tags) >= TAGS[who]


def test_what_is_stored_cannot_be_read_in_the_database(world: World) -> None:
    readable = {
        (table, name)
        for table, row in making.stored()
        for name, secret in world.secrets.items()
        if not secret.stored_readably and secret.text in row
    }

    assert readable == set()
