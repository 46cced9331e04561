"""What is left on a channel's account, as its provider tells it (relay contract, 11.4), and keeping all of them fresh.

A provider is a row of `data/balances.toml`; only OpenAI's, which takes two questions, is code.

    types          channel types the row is for
    base_url       the host to ask, where it is not the provider's; a channel with an address of its own is asked there
    path           behind it
    key_header     the header that carries the key alone; without it, Authorization: Bearer
    key_parameter  the query parameter that carries it instead (such an address is never logged or told)
    amount         where the figure is: names with dots, and `list[member=value]` for one item of a list
    minus          a figure to take from it
    needs          what must be there, or true, or have a value (`code=20000`), or else
    failure        is the error, `{name}` standing for members of the answer; also where the item of a list is missing
    unit           of the figure where that is not US dollars
"""

from __future__ import annotations

import math
import re
import time
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings

from channels_app import health, outgoing
from channels_app.models import Channel, ChannelStatus
from channels_app.outgoing import CallFailed, Received
from channels_app.providers import PROVIDERS
from channels_app.services import ChannelMissing
from channels_app.snapshot import BadRow, Route
from channels_app.snapshot import route as stored_route
from jobs import running
from jobs.running import Context

TABLE = Path(__file__).parent / "data" / "balances.toml"
NAME = "update balances"  # of the lease and of the job
TIMEOUT = 6 * 3600  # seconds of a whole run
LIMIT = 20.0  # seconds of one question
NOT_BUILT = "尚未实现"
USED_UP = "余额不足"
WITHOUT_CARD = 100  # days of usage OpenAI counts for an account without a payment method
MOST = 1e15  # a larger figure is nonsense


class BalanceUnknown(Exception):
    """The provider tells none, or did not answer; the message is for the operator and holds no key."""


class AlreadyRunning(Exception):
    """All balances are being updated already, on this node or on another."""


class BadBalanceRow(ValueError):
    """The table cannot be used; the message names the row."""


@dataclass(frozen=True, slots=True)
class Source:
    """A row of the table; fields as in the module's text."""

    kind: str = "plain"
    base_url: str = ""
    path: str = ""
    key_header: str = ""
    key_parameter: str = ""
    amount: str = ""
    minus: str = ""
    needs: str = ""
    failure: str = ""
    unit: str = "USD"


def update_balance(channel_id: int) -> float:
    """Ask the provider and store the answer. Raises ChannelMissing, BalanceUnknown."""
    try:
        route = stored_route(channel_id)
    except BadRow as problem:
        raise BalanceUnknown(str(problem)) from None
    if route is None:
        raise ChannelMissing(channel_id)
    try:
        balance = ask(route)
    except (CallFailed, BalanceUnknown) as failure:  # a provider's own words may quote the key
        told = str(failure).replace(route.key or " ", "[key]" if route.key else " ")
        raise BalanceUnknown(told.encode("utf-8", "replace").decode()) from None
    Channel.objects.filter(pk=channel_id).update(balance=balance, balance_updated_time=int(time.time()))
    return balance


def start(among: Collection[int] | None = None) -> None:
    """Update all balances in the background, or those of these channels. Raises AlreadyRunning."""
    if running.start(NAME, lambda context: update_all(context, among), TIMEOUT) is None:
        raise AlreadyRunning


def update_all(context: Context, among: Collection[int] | None = None) -> None:
    """Ask for every enabled channel whose provider tells; an account that is used up disables its channel.

    What cannot be learnt is left as it was.
    """
    rows = Channel.objects.filter(status=ChannelStatus.ENABLED, type__in=list(SOURCES)).order_by("-id")
    channel_ids = [pk for pk in rows.values_list("pk", flat=True) if among is None or pk in among]
    told: dict[str, Any] = {"total": len(channel_ids), "done": 0, "updated": 0, "failed": 0, "disabled": []}
    for place, channel_id in enumerate(channel_ids):
        if context.stopping or (place and settings.POLLING_INTERVAL and context.pause(settings.POLLING_INTERVAL)):
            break
        try:
            balance = update_balance(channel_id)
        except (BalanceUnknown, ChannelMissing):
            told["failed"] += 1
        else:
            told["updated"] += 1
            if balance <= 0 and health.disable(channel_id, USED_UP):
                told["disabled"].append(channel_id)
        told["done"] += 1
        context.report(told)


def ask(route: Route) -> float:
    """The figure, in the provider's unit. Raises BalanceUnknown, CallFailed."""
    source = SOURCES.get(route.type)
    if source is None:
        raise BalanceUnknown(NOT_BUILT)
    return _openai(route) if source.kind == "openai" else _plain(route, source)


def _plain(route: Route, source: Source) -> float:
    query = "?" + urlencode({source.key_parameter: route.key}) if source.key_parameter else ""
    headers: list[tuple[str, str]] = []
    if source.key_header:
        headers = [(source.key_header, route.key)]
    elif not query:
        headers = [("Authorization", "Bearer " + route.key)]
    document = _asked(route, _base_url(route, source) + source.path + query, headers)
    if not isinstance(document, dict):
        raise BalanceUnknown("the answer is not a JSON object")
    if source.needs and not _fulfilled(document, source.needs):
        raise BalanceUnknown(_filled(source.failure, document))
    found = _found(document, source.amount)
    if found is None and source.failure and not source.needs:
        raise BalanceUnknown(source.failure)
    return _figure(found) - (_figure(_found(document, source.minus)) if source.minus else 0.0)


def _openai(route: Route) -> float:
    """The limit less what was used this month, or in the last hundred days where no payment method is known."""
    headers = [("Authorization", "Bearer " + route.key)]
    billing = route.base_url.removesuffix("/v1") + "/v1/dashboard/billing"
    subscription = _asked(route, f"{billing}/subscription", headers)
    today = datetime.now(UTC).date()
    since = today.replace(day=1)
    if not _found(subscription, "has_payment_method"):
        since = today - timedelta(days=WITHOUT_CARD)
    usage = _asked(route, f"{billing}/usage?start_date={since}&end_date={today}", headers)
    return _figure(_found(subscription, "hard_limit_usd")) - _figure(_found(usage, "total_usage")) / 100


def _asked(route: Route, url: str, headers: list[tuple[str, str]]) -> Any:
    received: Received = outgoing.call(
        "GET", url, [*headers, ("Accept", "application/json")], proxy=route.proxy, limit=_limit()
    )
    if received.status != 200:
        raise BalanceUnknown(f"status code: {received.status}")
    return received.document()


def _limit() -> float:
    return min(LIMIT, float(settings.RELAY_TIMEOUT or LIMIT))


def _base_url(route: Route, source: Source) -> str:
    """The provider's own host, unless the channel names another; people end theirs with /v1 as often as not."""
    if route.base_url != PROVIDERS[route.type].base_url:
        return route.base_url.removesuffix("/v1")
    return source.base_url or route.base_url


def _found(document: Any, path: str) -> Any:
    """What stands at `a.b[member=value].c`; None where nothing does."""
    for step in path.split("."):
        item = _ITEM.fullmatch(step)
        name = item["name"] if item else step
        document = document.get(name) if isinstance(document, dict) else None
        if item:
            rows = document if isinstance(document, list) else []
            document = next(
                (row for row in rows if isinstance(row, dict) and str(row.get(item["member"])) == item["value"]), None
            )
    return document


def _fulfilled(document: Mapping[str, Any], needs: str) -> bool:
    path, _, value = needs.partition("=")
    found = _found(document, path)
    return str(found) == value if value else bool(found)


def _filled(text: str, document: Mapping[str, Any]) -> str:
    return _MEMBER.sub(lambda member: str(document.get(member[1], ""))[:500], text) or "the provider refuses"


def _figure(value: Any) -> float:
    """A finite number, as such or as text. Raises BalanceUnknown."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number) and abs(number) < MOST:
            return number
    raise BalanceUnknown("the answer holds no balance")


_ITEM = re.compile(r"(?P<name>\w+)\[(?P<member>\w+)=(?P<value>\w+)\]")
_MEMBER = re.compile(r"\{(\w+)\}")


def parse(table: Mapping[str, Any]) -> dict[int, Source]:
    """The rows by channel type. Raises BadBalanceRow."""
    sources: dict[int, Source] = {}
    for row in table.get("balance", []):
        values = dict(row)
        types = values.pop("types", [])
        title = f"balance of types {types}"
        unknown = set(values) - set(Source.__slots__)
        if unknown or not types or not all(isinstance(value, str) for value in values.values()):
            raise BadBalanceRow(f"{title}: {', '.join(sorted(unknown)) or 'a field'} cannot be used")
        source = Source(**values)
        if source.kind not in ("plain", "openai") or (source.kind == "plain" and not (source.path and source.amount)):
            raise BadBalanceRow(f"{title}: without path or amount, or of an unknown kind")
        if source.base_url and urlsplit(source.base_url).scheme != "https":
            raise BadBalanceRow(f"{title}: a key travels over https only")
        for channel_type in types:
            provider = PROVIDERS.get(channel_type)
            if provider is None or not provider.balance_supported or channel_type in sources:
                raise BadBalanceRow(f"{title}: {channel_type} is no type that tells a balance, or has a row already")
            sources[channel_type] = source
    return sources


def read(path: Path = TABLE) -> Mapping[int, Source]:
    """The table as stored in the source tree. Raises BadBalanceRow."""
    with path.open("rb") as file:
        return MappingProxyType(parse(tomllib.load(file)))


SOURCES = read()
