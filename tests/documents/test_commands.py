"""What the documents tell people to type exists: targets of make, commands of manage.py, variables, files of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.core.management import get_commands

from config import env
from tests.documents.pages import BLOCK, DOCS, ROOT, rows, table_after, text

PAGES = [*sorted(DOCS.glob("*.md")), *(ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md"))]
SHELL = {"sh", "bash", "shell", "console"}
# Variables that are read by the tests or the Makefile, and those of other people's programs in our pages.
OF_TESTS = {"TEST_DATABASE", "TEST_POSTGRES_DSN", "TEST_MYSQL_DSN", "REQUIRE_SERVICES", "WRITE_PROVIDERS_TABLE"}
OF_MAKE = set(re.findall(r"^([A-Z]+) [?:]?=", (ROOT / "Makefile").read_text(), re.MULTILINE)) | OF_TESTS
OF_OTHERS = {"DATABASE_PASSWORD", "PATH", "HOME", "PGPASSWORD", "ACCESS_TOKEN", "DJANGO_SETTINGS_MODULE"}
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def shell_lines() -> Iterator[tuple[str, str]]:
    """(page, line) of everything to be typed, comments cut off."""
    for path in PAGES:
        for _, language, code in BLOCK.findall(path.read_text()):
            if language in SHELL:
                for line in code.replace("\\\n", " ").splitlines():
                    yield path.name, re.sub(r"(^|\s)#\s.*", "", line)


LINES = list(shell_lines())


def test_there_is_something_to_type():
    assert len(LINES) > 20


def test_every_make_target_exists():
    typed = {(page, target) for page, line in LINES for target in re.findall(r"\bmake ([a-z][a-z-]*)", line)}
    assert {target for _, target in typed} >= {"run", "test", "setup"}
    assert [one for one in typed if one[1] not in TARGETS] == []


def test_every_target_named_in_the_text_exists():
    named = {(path.name, one) for path in PAGES for one in re.findall(r"`make ([a-z][a-z-]*)", path.read_text())}
    assert [one for one in named if one[1] not in TARGETS] == []


def test_every_command_of_manage_exists():
    pattern = re.compile(r"manage\.py ([a-z_]+)")
    typed = {(path.name, one) for path in PAGES for one in pattern.findall(path.read_text())}
    assert {command for _, command in typed} >= {"serve", "reconcile", "import_one_api"}
    assert [one for one in typed if one[1] not in get_commands()] == []


def test_every_module_that_is_run_exists():
    typed = {(path.name, one) for path in PAGES for one in re.findall(r"python -m ([a-z_.]+)", path.read_text())}
    ours = {(page, one) for page, one in typed if one.split(".")[0] in {"bench", "tests"}}
    assert ("scaling.md", "bench.model") in ours
    missing = [
        one for one in ours
        if not (ROOT / one[1].replace(".", "/")).is_dir() and not (ROOT / f"{one[1].replace('.', '/')}.py").is_file()
    ]  # fmt: skip
    assert missing == []


def test_every_variable_that_is_set_is_read():
    files = {f"{name}_FILE" for name in env.SECRETS}
    known = set(env.NAMES) | files | OF_MAKE | OF_OTHERS
    typed = {(page, name) for page, line in LINES for name in re.findall(r"(?:^|[\s;])([A-Z][A-Z0-9_]{2,})=", line)}
    assert "INITIAL_ROOT_TOKEN" in {name for _, name in typed}
    assert [one for one in typed if one[1] not in known] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_files_of_ours_that_a_page_names_exist(path):
    """Names between backticks with a slash and a known suffix, from the root of the repository."""
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z0-9_.-]+\.(?:py|toml|md|yml|sh|sql|service|json))`", path.read_text()))
    examples = {"relay/adapters/example_chat.py", "tests/relay/adapters/test_example_chat.py"}
    missing = [name for name in named - examples if not (ROOT / name).exists()]
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"artefacts"}  # what runs leave behind
    assert [name for name in missing if name.split("/")[0] in ours] == []


@pytest.mark.parametrize(
    ("metrics", "runbook", "heading"),
    [
        ("metrics.md", "runbook.md", "## What to alert on\n"),
        ("metrics.zh.md", "runbook.zh.md", "## 该对什么告警\n"),
    ],
)
def test_the_runbook_has_a_section_for_each_alert(metrics, runbook, heading):
    below = text(metrics).partition(heading)[2]
    alerts = [row[0] for row in rows(below.partition("\n## ")[0])][1:]
    assert len(alerts) >= 11
    assert [row[0] for row in table_after(runbook, "alerts")] == alerts


def test_the_chinese_page_has_every_metric_and_expression():
    def named(page: str) -> set[str]:
        return set(re.findall(r"one_api_[a-z_]+", text(page)))

    assert named("metrics.zh.md") == named("metrics.md")


@pytest.mark.parametrize("page", ["security.md", "security.zh.md"])
def test_each_class_of_weakness_names_tests_that_exist(page):
    classes = table_after(page, "weaknesses")
    assert len(classes) >= 23
    for name, _, tests in classes:
        named = re.findall(r"`(tests/[a-z_/.]+)`", tests)
        assert named, name
        assert [one for one in named if not (ROOT / one).exists()] == [], name
