"""How figures look in the table."""

from __future__ import annotations

NAME = 34  # columns of a subject's title
MB = 2**20


def figure(value: float | None, width: int) -> str:
    """Two decimals; empty for None."""
    return f"{'' if value is None else f'{value:.2f}':>{width}}"


def number(value: float, width: int) -> str:
    """A whole number; empty for 0, which was not measured."""
    return f"{f'{value:,.0f}' if value else '':>{width}}"


def megabytes(size: float) -> str:
    return f"{size / MB:.0f} MB"
