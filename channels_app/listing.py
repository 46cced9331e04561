"""The console's list of channels: which ones match, and how their latest tests went.

Neither keys nor configs are read. However many channels there are, a page is one query, and its tests one more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields

from django.db.models import F, Q, QuerySet, TextField, Value, Window
from django.db.models.functions import Concat, Length, Lower, Replace, RowNumber, StrIndex

from channels_app.models import Channel, ChannelStatus, Outcome, TestRunResult
from channels_app.validation import split_names

TESTED = {
    "ok": Q(test_outcome__in=(Outcome.PASSED, Outcome.SLOW)),
    "failed": Q(test_outcome=Outcome.FAILED),
    "never": Q(test_time=0),
}
SEARCHED = ("name", Value("\n"), "base_url", Value("\n"), "model_names", Value("\n"), "tags")
BELOW = "balance_below"
NO_TAG = ","  # as a filter's tag: those that have none. No tag is called so, for commas stand between tags
PROBES = 20  # of a channel's latest tests that are shown


@dataclass(frozen=True, slots=True)
class Filters:
    """What a query string may ask for; an empty member asks for nothing.

    `text`: in name, base URL, models or tags, or the id itself. `tag`: a whole name, or NO_TAG. `tested`: a key of
    TESTED. `balance_below`: of balances that are known.
    """

    text: str = ""
    type: int = 0
    group: str = ""
    tag: str = ""
    model: str = ""
    status: int = 0
    tested: str = ""
    balance_below: float | None = None

    def query(self) -> dict[str, str]:
        """As `read` takes it; what asks for nothing is left out."""
        return {name: str(value) for name, value in asdict(self).items() if value or (value == 0.0 and name == BELOW)}

    def __bool__(self) -> bool:
        return bool(self.query())


def read(query: Mapping[str, str]) -> Filters:
    """The filters of a query string. Values that cannot be understood ask for nothing: links are typed by hand."""
    asked = {field.name: query.get(field.name, "").replace("\x00", "").strip() for field in fields(Filters)}
    below = _number(asked[BELOW])
    status, channel_type = _whole(asked["status"]), _whole(asked["type"])
    return Filters(
        text=asked["text"],
        type=channel_type,
        group=asked["group"],
        tag=asked["tag"],
        model=asked["model"],
        status=status if status in ChannelStatus.values else 0,
        tested=asked["tested"] if asked["tested"] in TESTED else "",
        balance_below=below,
    )


def matching(filters: Filters) -> QuerySet[Channel]:
    """The channels a filter asks for, in no order, without their secrets."""
    wanted = Q()
    if text := filters.text:
        found = Q(searched__icontains=text) | Q(lowered__contains=text.lower())  # the latter: MariaDB minds the case
        if 0 < (channel_id := _whole(text.removeprefix("#"))) < 2**63:
            found |= Q(pk=channel_id)
        wanted &= found
    if filters.type:
        wanted &= Q(type=filters.type)
    if filters.status:
        wanted &= Q(status=filters.status)
    if filters.tested:
        wanted &= TESTED[filters.tested]
    if filters.balance_below is not None:
        wanted &= Q(balance__lt=filters.balance_below, balance_updated_time__gt=0)
    searched = Concat(*SEARCHED, output_field=TextField())
    rows: QuerySet[Channel] = (
        Channel.objects.defer("key", "config").alias(searched=searched, lowered=Lower(searched)).filter(wanted)
    )
    for column, name in (("group", filters.group), ("tags", filters.tag), ("model_names", filters.model)):
        if column == "tags" and name == NO_TAG:
            rows = rows.filter(tags="")
        elif name:
            rows = _naming(rows, column, name)
    return rows


def listed(filters: Filters) -> QuerySet[Channel]:
    """Rows for the list: with `models_count` and their health, in no order."""
    commas = Length("model_names") - Length(Replace("model_names", Value(",")))
    return matching(filters).select_related("health").annotate(models_count=commas + 1)


def probes(channel_ids: Iterable[int], each: int = PROBES) -> dict[int, list[TestRunResult]]:
    """The latest tests of these channels, oldest first, in one query."""
    place = Window(RowNumber(), partition_by=F("channel_id"), order_by=F("id").desc())
    rows = TestRunResult.objects.filter(channel_id__in=list(channel_ids)).annotate(place=place).filter(place__lte=each)
    found: dict[int, list[TestRunResult]] = {}
    for result in rows.order_by("id").defer("message"):
        found.setdefault(result.channel_id, []).append(result)
    return found


@dataclass(frozen=True, slots=True)
class Facets:
    """What the boxes of the filter bar offer: names in use, sorted."""

    types: tuple[int, ...]
    groups: tuple[str, ...]
    tags: tuple[str, ...]


def facets() -> Facets:
    """One query over narrow columns."""
    types: set[int] = set()
    groups: set[str] = set()
    tags: set[str] = set()
    for channel_type, group, tag in Channel.objects.order_by().values_list("type", "group", "tags").distinct():
        types.add(channel_type)
        groups.update(split_names(group))
        tags.update(split_names(tag))
    return Facets(tuple(sorted(types)), tuple(sorted(groups)), tuple(sorted(tags)))


def _naming(rows: QuerySet[Channel], column: str, name: str) -> QuerySet[Channel]:
    """Those whose comma-separated column holds the name, whole and with its capitals.

    Both ways of looking, for SQLite's LIKE takes capitals for small letters, and so does MariaDB's INSTR.
    """
    alias, whole = f"among_{column}", f",{name},"
    around = Concat(Value(","), F(column), Value(","), output_field=TextField())
    exact = {f"{alias}__contains": whole, f"{alias}_at__gt": 0}
    return rows.alias(**{alias: around, f"{alias}_at": StrIndex(around, Value(whole))}).filter(**exact)


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
