"""Do the books agree with themselves? Ledger, balances, holds, counters and log lines, compared every day.

Everything is read in one snapshot, so that calls under way are no differences, and in a fixed number of queries.
Nothing is repaired: a difference means that something wrote past the ledger, and a person has to find out what.
The invariants are the design's: I1 balance, I2 holds, I3 once, I4 counters and logs, I5 no hold outlives its time.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from django.conf import settings
from django.db import connections, transaction
from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from accounts.models import Token, User
from audit.models import AuditEntry
from billing.models import (
    CounterKind,
    CounterOpening,
    EntryKind,
    Hold,
    LedgerEntry,
    Log,
    LogOutbox,
    LogType,
    ReconciliationReport,
    UsageCatchUp,
    UsageDay,
    UsageHour,
)
from channels_app.models import Channel
from jobs.running import Context
from options.models import OptionChange
from options.services import load as load_options

log = logging.getLogger(__name__)

HOUR, DAY = 3600, 86_400  # seconds
LOG_WINDOW = 2 * DAY  # seconds back from now in which log lines are compared with charges
SETTLING = 600  # seconds until every worker follows a changed option, and until a sweeper must have ended a hold
LATE = 60  # seconds a log database of its own may be behind
ENDLESS = 2**62  # seconds
KEPT = 100  # differences in a report
IMPORTED = "import:user:"  # begins the reference of an imported user's opening entry
CHARGED = Q(kind=EntryKind.CHARGE)
Triple = tuple[int, int, int]  # user, token, channel


@dataclass(frozen=True, slots=True)
class Difference:
    """`stored` is what stands in the row that `row` names, `expected` what the ledger or the holds say."""

    check: str
    row: str
    stored: int
    expected: int


@dataclass(slots=True)
class Used:
    """Charges of one user, token or channel: points and number."""

    quota: int = 0
    calls: int = 0

    def add(self, quota: int, calls: int) -> None:
        self.quota += quota
        self.calls += calls


@dataclass(slots=True)
class Findings:
    """What has been found so far; only the first differences are kept, all are counted."""

    count: int = 0
    differences: list[Difference] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def compare(self, check: str, row: str, stored: int, expected: int) -> None:
        if stored != expected:
            self.count += 1
            if len(self.differences) < KEPT:
                self.differences.append(Difference(check, row, stored, expected))


@dataclass(slots=True)
class Ledger:
    """Sums of the ledger, read in one pass."""

    balances: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    used: dict[CounterKind, dict[int, Used]] = field(
        default_factory=lambda: {kind: defaultdict(Used) for kind in CounterKind}
    )


class Openings:
    """What counters brought along from another installation, and which rows may still bring something.

    The ledger of an imported installation begins with an opening balance; what its users, tokens and channels had
    used before is in their counters alone. The first run after the import notes how much that is. Rows made after
    the import began at 0, like all rows of an installation that never imported.
    """

    def __init__(self) -> None:
        self.known = {(row.kind, row.row_id): row for row in CounterOpening.objects.all()}
        self.imported = dict(
            LedgerEntry.objects.filter(kind=EntryKind.OPENING, reference__startswith=IMPORTED).values_list(
                "user_id", "created_at"
            )
        )
        self.last_import = max(self.imported.values(), default=0)
        self.new: list[CounterOpening] = []

    def of(self, kind: CounterKind, row_id: int, *, came: bool, over: int, calls: int = 0) -> CounterOpening:
        """The opening of this row. `over` and `calls`: how far its counters are beyond the ledger now."""
        opening = self.known.get((kind, row_id))
        if opening is None:
            opening = CounterOpening(kind=kind, row_id=row_id)
            if came:
                opening.used_quota, opening.request_count = max(over, 0), max(calls, 0)
                self.new.append(opening)
        return opening


def reconcile(now: float | None = None) -> ReconciliationReport:
    """Compare, store the report and log it. Must not be called inside a transaction."""
    began = time.monotonic()
    moment = int(time.time() if now is None else now)
    findings = Findings()
    with snapshot("default"):
        openings = Openings()
        since, until = _log_window(moment, openings.last_import)
        ledger = _read_ledger(findings)
        _users(findings, ledger, openings)
        _tokens(findings, ledger, openings)
        _channels(findings, ledger, openings)
        _holds(findings, moment)
        _usage(findings, moment)
        charges = _charges(since, until) if until else {}
        if until and settings.LOG_DATABASE_ALIAS == "default":
            _logs(findings, charges, since, until)
    if until and settings.LOG_DATABASE_ALIAS != "default":
        with snapshot(settings.LOG_DATABASE_ALIAS):
            _logs(findings, charges, since, until)
    CounterOpening.objects.bulk_create(openings.new, ignore_conflicts=True, batch_size=500)
    report = ReconciliationReport.objects.create(
        created_at=moment,
        duration=int((time.monotonic() - began) * 1000),
        difference_count=findings.count,
        differences=[asdict(each) for each in findings.differences],
        compared=dict(findings.compared),
        logs_from=since,
        logs_until=until,
    )
    _tell(report)
    return report


def scheduled(context: Context) -> None:
    """The daily run (jobs.table)."""
    report = reconcile()
    context.report({"report": report.pk, "differences": report.difference_count})


@contextmanager
def snapshot(alias: str) -> Iterator[None]:
    """A transaction that sees the database as it is at its first read, and keeps nobody from writing."""
    connection: Any = connections[alias]
    connection.ensure_connection()  # which sets the mode on SQLite
    if connection.vendor == "sqlite":
        usual = connection.transaction_mode
        connection.transaction_mode = "DEFERRED"  # a reader beside the one writer (WAL), not a second writer
        try:
            with transaction.atomic(using=alias, durable=True):
                yield
        finally:
            connection.transaction_mode = usual
        return
    with transaction.atomic(using=alias, durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def _read_ledger(findings: Findings) -> Ledger:
    ledger = Ledger()
    groups = LedgerEntry.objects.values("user_id", "token_id", "channel_id").annotate(
        total=Sum("amount"),
        entries=Count("id"),
        charged=Sum("amount", filter=CHARGED),
        calls=Count("id", filter=CHARGED),
        nameless=Count("id", filter=CHARGED & Q(reference=None)),
    )
    for group in groups.order_by().iterator():
        quota, calls = -int(group["charged"] or 0), group["calls"]
        ledger.balances[group["user_id"]] += int(group["total"])
        ledger.used[CounterKind.USER][group["user_id"]].add(quota, calls)
        ledger.used[CounterKind.TOKEN][group["token_id"]].add(quota, calls)
        ledger.used[CounterKind.CHANNEL][group["channel_id"]].add(quota, calls)
        findings.compared["ledger_entries"] += group["entries"]
        # The database refuses a second charge of one reference; one without a reference would slip by.
        findings.compare("I3 charges without a reference", f"user {group['user_id']}", group["nameless"], 0)
    return ledger


def _users(findings: Findings, ledger: Ledger, openings: Openings) -> None:
    held = _sums(Hold.objects.values_list("user_id").annotate(total=Sum("amount")))
    rows = User.objects.values_list("pk", "quota", "held", "used_quota", "request_count").order_by()
    for pk, quota, row_held, used_quota, request_count in rows.iterator():
        row, used = f"user {pk}", ledger.used[CounterKind.USER].get(pk, Used())
        opening = openings.of(
            CounterKind.USER,
            pk,
            came=pk in openings.imported,
            over=used_quota - used.quota,
            calls=request_count - used.calls,
        )
        findings.compared["users"] += 1
        findings.compare("I1 balance against the ledger", row, quota, ledger.balances.get(pk, 0))
        findings.compare("I2 held against open holds", row, row_held, held.get(pk, 0))
        findings.compare("I4 used quota against charges", row, used_quota, used.quota + opening.used_quota)
        findings.compare("I4 requests against charges", row, request_count, used.calls + opening.request_count)


def _tokens(findings: Findings, ledger: Ledger, openings: Openings) -> None:
    held = _sums(Hold.objects.values_list("token_id").annotate(total=Sum("token_amount")))
    rows = Token.objects.values_list("pk", "user_id", "held", "used_quota", "created_time").order_by()
    for pk, user_id, row_held, used_quota, created in rows.iterator():
        row, used = f"token {pk}", ledger.used[CounterKind.TOKEN].get(pk, Used())
        came = created <= openings.imported.get(user_id, -1)
        opening = openings.of(CounterKind.TOKEN, pk, came=came, over=used_quota - used.quota)
        findings.compared["tokens"] += 1
        findings.compare("I2 held against open holds", row, row_held, held.get(pk, 0))
        findings.compare("I4 used quota against charges", row, used_quota, used.quota + opening.used_quota)


def _channels(findings: Findings, ledger: Ledger, openings: Openings) -> None:
    rows = Channel.objects.values_list("pk", "used_quota", "created_time").order_by()
    for pk, used_quota, created in rows.iterator():
        used = ledger.used[CounterKind.CHANNEL].get(pk, Used())
        came = bool(openings.imported) and created <= openings.last_import
        opening = openings.of(CounterKind.CHANNEL, pk, came=came, over=used_quota - used.quota)
        findings.compared["channels"] += 1
        findings.compare("I4 used quota against charges", f"channel {pk}", used_quota, used.quota + opening.used_quota)


def _holds(findings: Findings, moment: int) -> None:
    """A hold a worker still beats for is young; one this old has no worker and no sweeper."""
    counted = Hold.objects.aggregate(rows=Count("pk"), overdue=Count("pk", filter=Q(expires_at__lt=moment - SETTLING)))
    findings.compared["holds"] = counted["rows"]
    findings.compare("I5 holds that outlived their time", "all", counted["overdue"], 0)


def _log_window(moment: int, last_import: int) -> tuple[int, int]:
    """From when, and to before when, every charge must have a log line; (0, 0) where that cannot be said.

    A charge and its line carry the same second. Lines are missing rightly while LogConsumeEnabled is off, after a
    purge, and as long as they wait for the log database.
    """
    if not load_options()["LogConsumeEnabled"]:
        return 0, 0
    begin = moment - LOG_WINDOW
    if settings.LOG_RETENTION_DAYS:
        begin = max(begin, moment - settings.LOG_RETENTION_DAYS * DAY + SETTLING)
    if last_import:
        begin = max(begin, last_import + SETTLING)
    recent = AuditEntry.objects.filter(created_at__gte=begin)
    switched = OptionChange.objects.filter(key="LogConsumeEnabled", created_at__gte=begin)
    noted = recent.filter(action="option.update", target="option:LogConsumeEnabled")  # before there was the history
    moments = [rows.aggregate(last=Max("created_at"))["last"] for rows in (switched, noted)]
    if last := max(filter(None, moments), default=0):
        begin = max(begin, last + SETTLING)
    for created, detail in recent.filter(action="log.purge").values_list("created_at", "detail"):
        begin = max(begin, min(int(detail.get("before", created)), created + 1))
    end = moment + 1
    if settings.LOG_DATABASE_ALIAS != "default":
        waiting = LogOutbox.objects.aggregate(first=Min("created_at"))["first"]
        end = min(moment - LATE, moment if waiting is None else waiting)
    return (begin, end) if begin < end else (0, 0)


def _charges(since: int, until: int) -> dict[Triple, int]:
    groups = LedgerEntry.objects.filter(CHARGED, created_at__gte=since, created_at__lt=until)
    rows = groups.values_list("user_id", "token_id", "channel_id").annotate(total=Sum("amount")).order_by()
    return {(user, token, channel): -int(total) for user, token, channel, total in rows.iterator()}


def _logs(findings: Findings, charges: dict[Triple, int], since: int, until: int) -> None:
    lines = Log.objects.filter(type=LogType.CONSUME, created_at__gte=since, created_at__lt=until).order_by()
    groups = lines.values_list("user_id", "token_id", "channel_id").annotate(total=Sum("quota"), rows=Count("id"))
    logged: dict[Triple, int] = {}
    for user, token, channel, total, rows in groups.iterator():
        logged[user, token, channel] = int(total)
        findings.compared["log_lines"] += rows
    for triple in sorted(charges.keys() | logged.keys()):
        row = "user {}, token {}, channel {}".format(*triple)
        findings.compare("I4 log lines against charges", row, logged.get(triple, 0), charges.get(triple, 0))
    doubles = lines.exclude(request_id="").values_list("request_id").annotate(rows=Count("id")).filter(rows__gt=1)
    for request_id, rows in doubles.iterator():
        findings.compare("I3 log lines of one request", f"request {request_id}", rows, 1)


def _usage(findings: Findings, moment: int) -> None:
    """Sums of usage against charges, from the first hour on of which no line of an older version was seen."""
    state = UsageCatchUp.objects.first()
    if state is None:
        return
    begin = _next(max(moment - LOG_WINDOW, state.started_at + SETTLING, state.newest + SETTLING), HOUR)
    charges = _charges(begin, ENDLESS)
    hours = UsageHour.objects.filter(hour__gte=begin).order_by()
    groups = hours.values_list("user_id", "token_id", "channel_id").annotate(total=Sum("quota"), rows=Count("id"))
    summed: dict[Triple, int] = {}
    for user, token, channel, total, rows in groups.iterator():
        summed[user, token, channel] = int(total)
        findings.compared["usage_hours"] += rows
    for triple in sorted(charges.keys() | summed.keys()):
        row = "user {}, token {}, channel {}".format(*triple)
        findings.compare("I4 usage by hours against charges", row, summed.get(triple, 0), charges.get(triple, 0))
    midnight = _next(begin, DAY)
    days = UsageDay.objects.filter(day__gte=midnight).aggregate(total=Sum("quota"))["total"]
    of_hours = hours.filter(hour__gte=midnight).aggregate(total=Sum("quota"))["total"]
    findings.compare("I4 usage by days against hours", f"since {midnight}", int(days or 0), int(of_hours or 0))


def _next(moment: int, length: int) -> int:
    """The first beginning of such a period at or after this moment."""
    return -(-moment // length) * length


def _sums(rows: QuerySet[Any, tuple[int, int]]) -> dict[int, int]:
    return {key: int(total) for key, total in rows.order_by()}


def _tell(report: ReconciliationReport) -> None:
    if not report.difference_count:
        log.info("the books agree: %s, %d ms", report.compared, report.duration)
        return
    log.error("the books differ in %d places (reconciliation report %d)", report.difference_count, report.pk)
    for each in report.differences[:10]:
        log.error("%(check)s, %(row)s: %(stored)d instead of %(expected)d", each)
