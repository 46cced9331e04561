"""The whole import: everything is read and compared first; only where nothing clashes is anything written."""

from __future__ import annotations

import time
from collections.abc import Callable

from audit.services import SYSTEM, record
from importer import first_root
from importer.report import Report
from importer.source import CannotRead, Source
from importer.tables.base import Context, TableImport
from importer.tables.channels import Channels
from importer.tables.logs import Logs
from importer.tables.options import Options
from importer.tables.redemptions import Redemptions
from importer.tables.tokens import Tokens
from importer.tables.users import Users

Progress = Callable[[str], None]


def run(
    source: Source,
    *,
    log_source: Source | None = None,
    log_limit: int | None = None,
    dry_run: bool = False,
    replace_root: bool = False,
    progress: Progress = lambda _line: None,
) -> Report:
    """Bring over what `source` holds and this installation does not; returns the account of it.

    `log_source` is where the logs are, if elsewhere; `log_limit` takes only the newest of them. With clashes, or as a
    dry run, nothing is written. Each batch is one transaction: an import that was cut off is completed by another one.
    Raises CannotRead, ChangedMeanwhile.
    """
    began = time.monotonic()
    if not source.has("users"):
        raise CannotRead(f"{source.name} has no table users: it is One API's database of logs, if any (--logs)")
    report = Report(source.name, dry_run)
    context = Context(source, log_source or source, report, log_limit, replaced=first_root.find(even_used=replace_root))
    users = Users(context)
    tables: list[TableImport] = [
        users,
        Tokens(context),
        Channels(context),
        Options(context),
        Redemptions(context),
        Logs(context),
    ]
    for table in tables:
        progress(f"reading {type(table).__name__.lower()}")
        table.plan()
    users.explain_root()
    if not report.clashes and not dry_run:
        for table in tables:
            progress(f"writing {type(table).__name__.lower()}")
            table.write()
        if report.changed:
            counts = {name: table.imported for name, table in report.tables.items()}
            record(SYSTEM, "import", "one-api", **counts)
    if not report.clashes:
        for table in tables:
            table.account()
    report.seconds = time.monotonic() - began
    return report
