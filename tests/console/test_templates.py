"""What no template may hold: the policy forbids it in a browser, and this says so before one is opened."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

FOLDER = Path(settings.BASE_DIR, "templates")
MAILS = FOLDER / "notices"  # read by mail programs, which take style from the mail itself
TEMPLATES = [one for one in sorted(FOLDER.rglob("*.html")) if MAILS not in one.parents]
TURNSTILE = FOLDER / "console" / "account" / "_turnstile.html"  # Cloudflare's script, once an operator switches it on
FORBIDDEN = {
    "a style of its own": r"<style|\sstyle\s*=",
    "a handler in an attribute": r"\son[a-z]+\s*=\s*[\"']",
    "a script between its tags": r"<script(?![^>]*\ssrc=)[^>]*>\s*\S",
    "a script as an address": r"javascript:",
    "htmx's handlers in attributes": r"\shx-on|\sdata-hx-on",
    "an expression for htmx": r"[\"']\s*(js|javascript):",
    "a filter in a trigger": r"hx-trigger\s*=\s*\"[^\"]*\[",
    "a file from elsewhere": r"<(script|img|iframe|source|link)[^>]*\s(src|href)\s*=\s*[\"'](https?:)?//",
    "what a value brings, unescaped": r"(?<!help_text)\|\s*safe\b",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_template_holds(what: str) -> None:
    held = re.compile(FORBIDDEN[what], re.IGNORECASE)

    for template in TEMPLATES:
        if template == TURNSTILE and what == "a file from elsewhere":
            continue
        found = [one[0] for one in held.finditer(re.sub(r"{#.*?#}", "", template.read_text()))]
        assert not found, f"{template}: {found}"


@pytest.mark.parametrize(
    ("what", "held"),
    [
        ("a style of its own", '<p style="color: red">'),
        ("a handler in an attribute", '<p onclick="go()">'),
        ("a script between its tags", "<script>go()</script>"),
        ("htmx's handlers in attributes", '<p hx-on:click="go()">'),
        ("an expression for htmx", """<p hx-vals='js:{a: 1}'>"""),
        ("a filter in a trigger", '<p hx-trigger="click[ctrlKey]">'),
        ("a file from elsewhere", '<img class="a" src="https://elsewhere.example/a.png">'),
    ],
)
def test_the_search_finds(what: str, held: str) -> None:
    assert re.search(FORBIDDEN[what], held, re.IGNORECASE)
