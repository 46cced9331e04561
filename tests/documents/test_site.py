"""The site is whole: every page is in its navigation, links lead somewhere, Chinese stands where it is promised."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from channels_app.providers import PROVIDERS
from tests.documents import provider_table
from tests.documents.pages import BLOCK, DOCS, ROOT, pages, text

# What people who use or run the gateway need first; the rest falls back to English, and says so.
IN_CHINESE = [
    "index",
    "faq",
    "idempotency",
    "migration-from-one-api",
    "configuration",
    "deployment",
    "channels",
    "provider-channels",
    "clients",
    "billing-explained",
    "management-api",
    "metrics",
    "operations",
    "runbook",
    "scaling",
    "security",
]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=[\"']?([^\"' >]+)")


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml without what its tags would make."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. A dead link, a lost anchor and a page without a place are warnings, and there are to be none."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    warnings = [line for line in done.stderr.splitlines() if line.startswith(("WARNING", "ERROR"))]
    assert (done.returncode, warnings) == (0, []), done.stderr
    return folder


def entries(part: Any) -> Iterator[tuple[str, str]]:
    """(title, page) of everything in the navigation; the page of a section is ""."""
    for one in part:
        ((title, below),) = one.items()
        if isinstance(below, str):
            yield title, below
        else:
            yield title, ""
            yield from entries(below)


def languages(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (plugin,) = [one["i18n"] for one in described["plugins"] if isinstance(one, dict) and "i18n" in one]
    return {one["locale"]: one for one in plugin["languages"]}


def test_every_page_is_in_the_navigation_once(described):
    named = [page for _, page in entries(described["nav"]) if page]
    assert sorted(named) == sorted(pages())


def test_every_title_of_the_navigation_has_a_chinese_one(described):
    titles = {title for title, _ in entries(described["nav"])}
    translated = languages(described)["zh"]["nav_translations"]
    assert titles - set(translated) == set()
    assert [title for title, chinese in translated.items() if not CHINESE.search(chinese)] == []


def test_what_is_needed_first_is_there_in_chinese():
    assert sorted(f"{name}.md" for name in IN_CHINESE) == sorted(pages("zh"))
    for name in IN_CHINESE:
        page = text(f"{name}.zh.md")
        assert len(CHINESE.findall(page)) > len(page) / 8, name


def test_what_has_no_chinese_text_says_so(site):
    fell_back = {f"{path.stem}.md" for path in (site / "zh").glob("*.html") if "本页暂无中文版" in path.read_text()}
    assert fell_back == pages() - pages("zh")


def test_the_built_pages_load_nothing_from_elsewhere(site):
    loaded = {address for path in site.rglob("*.html") for address in LOADED.findall(path.read_text())}
    assert any(address.endswith(".css") for address in loaded)
    relative = {address for address in loaded if not address.startswith(("http:", "https:", "//"))}
    assert loaded - relative == set()
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert re.findall(r"url\(['\"]?https?:|@import", styles) == []


def test_lines_of_pages_made_here_are_not_endless():
    """130 characters; tables and code may be longer."""
    endless = []
    for path in (DOCS / f"{name}.zh.md" for name in IN_CHINESE):
        prose = BLOCK.sub("", path.read_text())
        endless += [f"{path.name}: {line}" for line in prose.splitlines() if len(line) > 130 and line[0] not in "|`"]
    assert endless == []


@pytest.mark.parametrize(("page", "language"), [("provider-channels.md", "en"), ("provider-channels.zh.md", "zh")])
def test_the_table_of_types_is_that_of_the_program(page, language):
    """After a change of the table of providers: `python -m tests.documents.provider_table` prints it anew."""
    stands = text(page).partition("<!-- providers -->\n")[2].partition("\n<!-- end of providers -->")[0]
    assert stands == provider_table.table(language)
    assert stands.count("\n") == len(PROVIDERS) + 1


def test_chinese_is_in_the_index_of_the_search_and_no_rule_drops_it(site):
    index = json.loads((site / "search" / "search_index.json").read_text())
    assert index["config"]["lang"] == ["en"]
    found = [one["location"] for one in index["docs"] if "预留" in one["text"]]
    assert any(location.startswith("zh/billing-explained.html") for location in found)
    assert "留" in re.split(index["config"]["separator"], "先预留 hold")
