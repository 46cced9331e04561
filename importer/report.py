"""What came over, what did not and why: collected while importing, shown as text, written as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

SHOWN = 20  # lines of one kind in the text; the JSON has all


@dataclass(frozen=True, slots=True)
class Note:
    """One thing about one row. `id` is the row's at the source, or an option's key."""

    table: str
    id: int | str
    text: str

    def __str__(self) -> str:
        return f"{self.table} {self.id}: {self.text}"


@dataclass
class Table:
    """The account of one table: `read` = imported + unchanged + differing + the sum of left_out, where nothing clashed.

    `unchanged` rows were here already, `differing` ones too but have other values now; neither is written.
    """

    name: str
    read: int = 0
    imported: int = 0
    unchanged: int = 0
    differing: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    adjusted: int = 0  # values that could not be taken as they were
    missing_columns: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    left_out_sums: Counter[str] = field(default_factory=Counter)
    adjusted_sums: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "imported": self.imported,
            "unchanged": self.unchanged,
            "differing": self.differing,
            "left_out": dict(self.left_out),
            "adjusted": self.adjusted,
            "missing_columns": self.missing_columns,
            "notes": [{"id": note.id, "text": note.text} for note in self.notes],
        }

    def note(self, row_id: int | str, text: str) -> None:
        self.notes.append(Note(self.name, row_id, text))

    def adjust(self, row_id: int | str, text: str) -> None:
        self.adjusted += 1
        self.note(row_id, text)

    def leave_out(self, row_id: int | str, reason: str) -> None:
        self.left_out[reason] += 1
        self.note(row_id, f"left out: {reason}")

    def differ(self, row_id: int | str, names: list[str]) -> None:
        self.differing += 1
        self.note(row_id, f"is here with another {', '.join(names)}; left as it is here")


@dataclass(frozen=True, slots=True)
class Sum:
    """One column added up: at the source by its own SQL, here from what is stored (in a dry run: would be)."""

    name: str
    source: int
    left_out: int
    adjusted: int
    here: int

    @property
    def equal(self) -> bool:
        return self.here == self.source - self.left_out + self.adjusted

    @property
    def difference(self) -> int:
        return self.here - (self.source - self.left_out + self.adjusted)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A user whose counters at the source are not what the consume logs there add up to."""

    user_id: int
    username: str
    used_quota: int
    logged_quota: int
    request_count: int
    logged_requests: int

    def __str__(self) -> str:
        return (
            f"user {self.user_id} ({self.username}): used_quota {self.used_quota:,}, logs {self.logged_quota:,} "
            f"({self.used_quota - self.logged_quota:+,}); requests {self.request_count:,}, logs "
            f"{self.logged_requests:,} ({self.request_count - self.logged_requests:+,})"
        )


@dataclass
class Report:
    source: str
    dry_run: bool
    tables: dict[str, Table] = field(default_factory=dict)
    sums: list[Sum] = field(default_factory=list)
    clashes: list[Note] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    disagreements: list[Disagreement] = field(default_factory=list)
    broken_books: list[int] = field(default_factory=list)  # users whose balance is not the sum of their entries (I1)
    root: str = ""
    seconds: float = 0.0

    def table(self, name: str) -> Table:
        return self.tables.setdefault(name, Table(name))

    def clash(self, table: str, row_id: int | str, text: str) -> None:
        self.clashes.append(Note(table, row_id, text))

    @property
    def changed(self) -> bool:
        return any(table.imported for table in self.tables.values())

    @property
    def ok(self) -> bool:
        return not self.clashes and not self.broken_books and all(each.equal for each in self.sums)

    def as_json(self) -> dict[str, Any]:
        """Everything, with plain values."""
        return {
            "source": self.source,
            "dry_run": self.dry_run,
            "ok": self.ok,
            "seconds": round(self.seconds, 1),
            "root": self.root,
            "tables": {name: table.as_json() for name, table in self.tables.items()},
            "sums": [{**asdict(each), "equal": each.equal, "difference": each.difference} for each in self.sums],
            "clashes": [asdict(note) for note in self.clashes],
            "warnings": self.warnings,
            "disagreements": [asdict(each) for each in self.disagreements],
            "broken_books": self.broken_books,
        }

    def as_text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"Import from {self.source}" + (": DRY RUN, nothing was written" if self.dry_run else "")
        yield from _section("Warnings", self.warnings)
        if self.clashes:
            yield from _section("Clashes: NOTHING WAS WRITTEN", [str(note) for note in self.clashes])
            yield (
                "An import keeps every id, since keys (key-CHANNELID), log lines and scripts refer to them. Import "
                "into a fresh installation, or remove what clashes at the source or here. See "
                "docs/migration-from-one-api.md."
            )
            return
        yield ""
        heads = ("read", "imported", "unchanged", "differing", "left out", "adjusted")
        yield f"{'table':<14}" + "".join(f"{head:>11}" for head in heads)
        for table in self.tables.values():
            yield (
                f"{table.name:<14}{table.read:>11,}{table.imported:>11,}{table.unchanged:>11,}{table.differing:>11,}"
                f"{table.left_out.total():>11,}{table.adjusted:>11,}"
            )
        yield ""
        yield f"{'sum':<28}{'source':>24}{'left out':>20}{'adjusted':>20}{'here':>24}"
        for each in self.sums:
            verdict = "equal" if each.equal else f"UNEQUAL by {each.difference:+,}"
            yield (
                f"{each.name:<28}{each.source:>24,}{each.left_out:>20,}{each.adjusted:>20,}{each.here:>24,}  {verdict}"
            )
        if self.broken_books:
            users = ", ".join(map(str, self.broken_books[:SHOWN]))
            yield f"BALANCES THAT ARE NOT THE SUM OF THEIR LEDGER: users {users}"
        elif not self.dry_run:
            yield "Every balance is the sum of its ledger entries."
        if self.root:
            yield ""
            yield self.root
        yield from _section(
            "Left out",
            [f"{table.name}: {n:,} × {why}" for table in self.tables.values() for why, n in table.left_out.items()],
        )
        yield from _section(
            "Columns the source does not have (an older version); their defaults were taken",
            [
                f"{table.name}: {', '.join(table.missing_columns)}"
                for table in self.tables.values()
                if table.missing_columns
            ],
        )
        for table in self.tables.values():
            yield from _section(f"Notes on {table.name}", [str(note) for note in table.notes])
        yield from _section(
            "Users whose counters disagree with the consume logs at the source (counters come over as they are)",
            [str(each) for each in sorted(self.disagreements, key=lambda one: -abs(one.used_quota - one.logged_quota))],
        )
        yield ""
        yield f"{'Done' if self.ok else 'NOT EQUAL'} in {self.seconds:.1f} s."


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if not lines:
        return
    yield ""
    yield f"{title}:"
    yield from (f"  {line}" for line in lines[:SHOWN])
    if len(lines) > SHOWN:
        yield f"  … and {len(lines) - SHOWN:,} more (--report FILE has all)"
