"""Classes that templates name have rules: Tabler's sheet is cut to what was used when it was fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.conf import settings

ROOT = settings.BASE_DIR
SHEETS = sorted([*ROOT.glob("static/console/css/*.css"), *ROOT.glob("static/vendor/*/*.css")])
TEMPLATES = sorted([*ROOT.glob("templates/console/**/*.html"), *ROOT.glob("templates/*.html")])
# Found by scripts or by others' scripts, or the beginning of a name that a variable completes.
NO_RULES = {"assistant", "btn-login", "cf-turnstile", "no-actions", "pairs", "series-", "sizes"}


def classes(html: str) -> Iterator[str]:
    """Names in class attributes; what a tag or variable of the template language stands next to is left out."""
    for attribute in re.findall(r'class="([^"]*)"', html):
        bare = re.sub(r"{%[^%]*%}|{{[^}]*}}", " ", attribute)
        yield from (name for name in bare.split() if re.fullmatch(r"[a-z][a-z0-9-]*", name))


def test_every_class_of_a_template_has_a_rule() -> None:
    ruled = {name for sheet in SHEETS for name in re.findall(r"\.([a-zA-Z][\w-]*)", sheet.read_text())}

    for template in TEMPLATES:
        missing = set(classes(template.read_text())) - ruled - NO_RULES
        assert not missing, f"{template}: no rule for {missing}; if they are Tabler's, run static/vendor/update"


@pytest.mark.parametrize("name", ["btn", "card", "form-control", "form-select", "form-check-input"])
def test_what_the_pages_stand_on_is_left_of_tabler(name: str) -> None:
    assert f".{name}" in (ROOT / "static/vendor/tabler/tabler.min.css").read_text()
