"""Reading the documents: their tables, blocks of code and navigation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def text(name: str) -> str:
    return (DOCS / name).read_text()


def blocks(name: str, language: str) -> list[str]:
    """The text of each block of that language, in the order of the page, without the indent of a list."""
    found = BLOCK.findall(text(name))
    return [
        "\n".join(line.removeprefix(indent) for line in code.split("\n"))
        for indent, kind, code in found
        if kind == language
    ]


def table_after(name: str, mark: str) -> list[list[str]]:
    """The cells of the table below the comment `<!-- mark -->`, its head left out."""
    _, found, rest = text(name).partition(f"<!-- {mark} -->\n")
    assert found, f"{name} has no mark {mark}"
    return list(rows(rest.partition("\n\n")[0]))[1:]


def rows(table: str) -> Iterator[list[str]]:
    for line in table.splitlines():
        if line.startswith("|") and not set(line) <= set("|- :"):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def pages(language: str = "") -> set[str]:
    """Names of all pages: English ones without a suffix, those of another language without its suffix."""
    names = {path.name for path in DOCS.glob("*.md")}
    chinese = {name for name in names if name.endswith(".zh.md")}
    if language == "zh":
        return {name.replace(".zh.md", ".md") for name in chinese}
    return names - chinese
