"""The icons of the pages, beside the package's own drawing of them."""

from __future__ import annotations

import pytest
from lucide import IconDoesNotExist
from lucide.templatetags.lucide import lucide

from console import icons


@pytest.mark.parametrize("name", ["key", "circle-check", "ellipsis-vertical", "message-square"])
@pytest.mark.parametrize("attributes", [{}, {"class": "spin", "data_turns": "yes"}])
def test_an_icon_is_drawn_as_its_package_would(name: str, attributes: dict[str, str]) -> None:
    theirs = lucide(name, size=18, aria_hidden="true", focusable="false", **attributes)
    assert icons.drawn(name, 18, tuple(sorted(attributes.items()))) == theirs


def test_what_attributes_say_stays_an_attribute() -> None:
    assert '"&lt;b&gt;&quot;"' in icons.drawn("key", 18, (("title", '<b>"'),))


def test_an_icon_that_is_not_there_is_told_by_its_name() -> None:
    with pytest.raises(IconDoesNotExist, match="no-such-icon"):
        icons.drawn("no-such-icon", 18, ())
