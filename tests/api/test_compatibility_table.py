"""docs/compatibility.md names, for every weakness of the contract's section 9, tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
DOCUMENT = TESTS.parent / "docs" / "compatibility.md"
LAST = {"S": 30, "D": 22, "A": 17, "P": 15}  # the weaknesses of each kind are counted from 1 to this
TAGS = [f"{kind}{number}" for kind, last in LAST.items() for number in range(1, last + 1)]


@cache
def rows() -> dict[str, str]:
    """Tag → its row. A row may stand for several tags, as `S9–S12, D10`."""
    table = DOCUMENT.read_text().partition("## Weaknesses of the contract's section 9")[2].partition("\n## ")[0]
    found: dict[str, str] = {}
    for row, tags in re.findall(r"^(\| ([SDAP]\d[^|]*) \| .* \|)$", table, re.MULTILINE):
        for part in tags.split(", "):
            first, _, last = part.partition("–")
            kind = first[0]
            for number in range(int(first[1:]), int((last or first)[1:]) + 1):
                assert f"{kind}{number}" not in found, f"{kind}{number} has two rows"
                found[f"{kind}{number}"] = row
    return found


@cache
def suite() -> frozenset[str]:
    """The names of all tests that pytest would collect."""
    return frozenset(
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_every_weakness_has_its_row() -> None:
    assert list(rows()) != []
    assert set(rows()) == set(TAGS)


@pytest.mark.parametrize("tag", TAGS)
def test_a_row_names_tests_that_exist(tag: str) -> None:
    column = rows()[tag].split(" | ")[-1].removesuffix(" |")
    named = re.findall(r"`([^`]+)`", column)

    assert named
    assert [name for name in named if name not in suite()] == []
    assert column == ", ".join(f"`{name}`" for name in named)
    assert "to come" not in rows()[tag]
