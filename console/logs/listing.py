"""The log a page at a time. Pages are cut at lines, so the list knows an older and a newer page and no numbers."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing import log_queries
from billing.log_queries import Counted, LogQuery
from billing.models import Log, LogType
from channels_app.models import Channel
from console.lists import Column, Head, Listing
from console.logs.forms import LogFilter

COLUMNS = (
    Column("time", _("Time"), fixed=True),
    Column("type", _("Type")),
    Column("user", _("User")),
    Column("key", _("API key")),
    Column("model", _("Model")),
    Column("channel", _("Channel")),
    Column("status", _("Status")),
    Column("prompt", _("Prompt"), number=True),
    Column("completion", _("Completion"), number=True),
    Column("cached", _("Cached"), number=True, hidden=True),
    Column("quota", _("Cost"), number=True),
    Column("took", _("Took"), number=True),
    Column("first", _("First token"), number=True, hidden=True),
    Column("ip", _("Address"), hidden=True),
    Column("group", _("Group"), hidden=True),
    Column("request", _("Request id"), hidden=True),
    Column("detail", _("Detail")),
)
OPERATORS = frozenset({"user", "channel", "group"})  # columns that ordinary users do not have
KINDS = {
    LogType.CONSUME: "info",
    LogType.ERROR: "danger",
    LogType.TOP_UP: "success",
    LogType.MANAGE: "warning",
    LogType.SYSTEM: "neutral",
    LogType.TEST: "accent",
}
LEFT = 499  # who called left before the end
MOST_TAILED = 100  # new lines of one look


class LogListing(Listing):
    """`before` and `after` in the address are numbers of lines. Sorting is by time alone, newest first."""

    def __init__(self, request: HttpRequest, filters: LogFilter) -> None:
        columns = [column for column in COLUMNS if filters.all_people or column.name not in OPERATORS]
        super().__init__(request, "logs", columns, Log.objects.none(), order="-time", filters=filters)
        self.query: LogQuery = filters.query()
        self.all_people = filters.all_people
        self.before, self.after = _number(request, "before"), _number(request, "after")

    @cached_property
    def found(self) -> log_queries.Page:
        return log_queries.page(self.query, before=self.before, after=self.after, limit=self.size)

    @cached_property
    def rows(self) -> list[Log]:
        return decorate(self.found.rows, self.all_people)

    @cached_property
    def counted(self) -> Counted:
        return log_queries.count(self.query)

    @property
    def heads(self) -> list[Head]:
        return [Head(column, "", "descending" if column.name == "time" else "") for column in self.columns]

    @property
    def newest(self) -> bool:
        """This is the page on which new lines appear."""
        return not self.before and not self.found.newer

    @property
    def older(self) -> str:
        return self.address(before=self.found.before, after=None) if self.found.older else ""

    @property
    def newer(self) -> str:
        return self.address(before=None, after=self.found.after) if self.found.newer else ""

    @property
    def first(self) -> str:
        return self.address(before=None, after=None)

    def address(self, **changes: str | int | None) -> str:
        return super().address(**{"before": None, "after": None, **changes})

    @property
    def parameters(self) -> str:
        """The filters alone, for the addresses of summary, tail and download."""
        wanted = self.request.GET.copy()
        for name in ("before", "after", "size", "page", "sort"):
            wanted.pop(name, None)
        return wanted.urlencode()

    @property
    def tail_from(self) -> int:
        return self.found.after

    def _order(self) -> list[str]:
        return ["-pk"]

    def _sort(self, default: str) -> str:
        return default


def newer_lines(listing: LogListing, after: int) -> list[Log]:
    """Lines that came since line `after`, newest first."""
    return decorate(log_queries.page(listing.query, after=after, limit=MOST_TAILED).rows, listing.all_people)


def decorate(lines: list[Log], all_people: bool) -> list[Log]:
    """`.kind`, `.type_name`, `.outcome` (how it ended, as badge and word) and, for admins, `.channel_name`."""
    names: dict[int, str] = {}
    if all_people:
        ids = {line.channel_id for line in lines if line.channel_id}
        names = dict(Channel.objects.filter(pk__in=ids).values_list("pk", "name"))
    for line in lines:
        line.kind = KINDS.get(LogType(line.type), "neutral") if line.type in LogType else "neutral"  # type: ignore[attr-defined]
        line.type_name = line.get_type_display()  # type: ignore[attr-defined]
        line.outcome = outcome_of(line)  # type: ignore[attr-defined]
        line.channel_name = names.get(line.channel_id, "") if all_people else ""  # type: ignore[attr-defined]
    return lines


def outcome_of(line: Log) -> tuple[str, str | Promise] | None:
    """Of a call: (kind of badge, word). None for lines that are no call, and of those before it was noted."""
    if line.error_code:
        return "danger", str(line.status) if line.status else _("failed")
    if line.status == LEFT:
        return "warning", _("left early")
    if line.status:
        return "success", str(line.status)
    return None


def _number(request: HttpRequest, name: str) -> int:
    text: Any = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else 0
