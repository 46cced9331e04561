"""The three looks of the frame (option Theme), and that colours stand in one file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from accounts.models import User
from audit.services import SYSTEM
from options.services import set_option
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db

STYLES = sorted(Path(settings.BASE_DIR, "static/console/css").glob("*.css"))


@pytest.mark.parametrize(
    ("skin", "side", "card", "across"),
    [("default", True, False, False), ("berry", True, True, False), ("air", False, False, True)],
)
def test_each_skin_has_its_frame(alice: User, skin: str, side: bool, card: bool, across: bool) -> None:
    set_option(SYSTEM, "Theme", skin)
    User.objects.filter(pk=alice.pk).update(quota=1_000_000)

    page = signed_in(alice).get("/token").content.decode()

    assert f'data-skin="{skin}"' in page
    assert ('<aside class="sidebar">' in page) is side
    assert ('class="sidebar-card"' in page) is card
    assert ('<nav class="across"' in page) is across
    assert len(re.findall(r'<a href="/token"[^>]* data-go="k"', page)) == 1  # one place for the key g, k
    assert page.count("$2.00</data>") == (2 if card else 1)


@pytest.mark.parametrize("path", STYLES, ids=[path.name for path in STYLES])
def test_colours_stand_in_tokens_alone(path: Path) -> None:
    if path.name != "tokens.css":
        assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", path.read_text()) == []
