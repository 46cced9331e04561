"""What the tables share: where they read, what they note, and what the ones before them found out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from django.core.management.color import no_style
from django.db import connections, models

from importer.first_root import FirstRoot
from importer.report import Report, Sum, Table
from importer.source import Source
from importer.values import Row

BATCH = 500  # rows in one transaction
Item = TypeVar("Item")


@dataclass
class Context:
    """`log_source` is where table logs is read; `replaced` the untouched root of this installation, if it gives way."""

    source: Source
    log_source: Source
    report: Report
    log_limit: int | None
    replaced: FirstRoot | None
    owners: set[int] = field(default_factory=set)  # users of the source that may have tokens
    deleted: set[int] = field(default_factory=set)
    token_keys: dict[str, int] = field(default_factory=dict)  # digest of the source's keys -> id
    top_token_id: int = 0


class TableImport(Protocol):
    def __init__(self, context: Context) -> None: ...
    def plan(self) -> None: ...
    def write(self) -> None: ...
    def account(self) -> None: ...


def rows(context: Context, table: Table, columns: Sequence[str]) -> Iterator[Row]:
    """Every row of a table of the main source, counted."""
    there = context.source.columns(table.name)
    if not there:
        context.report.warnings.append(f"the source has no table {table.name}")
        return
    table.missing_columns = [name for name in columns if name not in there]
    for values in context.source.rows(table.name, columns):
        table.read += 1
        yield Row(values, table)


def batches(items: Sequence[Item], size: int = BATCH) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def add_sums(
    context: Context, table: Table, columns: Sequence[str], stored: Iterable[Mapping[str, Any]], new: Sequence[Any]
) -> None:
    """One Sum a column. `stored` is what the database holds of the source's rows; a dry run adds what would be new."""
    report, rows_here = context.report, list(stored)
    for name, total in zip(columns, context.source.sums(table.name, columns)[1:], strict=True):
        here = sum(row[name] for row in rows_here)
        if report.dry_run:
            here += sum(getattr(row, name) for row in new)
        report.sums.append(
            Sum(f"{table.name}.{name}", total, table.left_out_sums[name], table.adjusted_sums[name], here)
        )


def reset_sequence(*kinds: type[models.Model], using: str = "default") -> None:
    """Ids given by hand leave PostgreSQL's counters behind; the other databases count on from the highest."""
    connection = connections[using]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(kinds)):
            cursor.execute(statement)
