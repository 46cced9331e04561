"""One formatter each for quota, numbers and times (console reference, 2.1 to 2.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from zlib import crc32

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.timesince import timesince
from django.utils.translation import gettext

from options.registry import Options

CENT = Decimal("0.01")
MICRO = Decimal("0.000001")
TONES = 10  # colours of chips, as in the style sheet


def abbreviated(number: int) -> str:
    """2300000 → "2.3M"; below 10,000 the plain number."""
    size = abs(number)
    for bound, unit, letter in ((10**9, 10**9, "B"), (10**6, 10**6, "M"), (10**4, 10**3, "k")):
        if size >= bound:
            return f"{number_format(Decimal(number) / unit, 1, use_l10n=True)}{letter}"
    return str(number)


def money(points: int, per_unit: Decimal) -> str:
    """Points as dollars with 2 decimals; an amount below a cent keeps 2 significant digits instead of showing 0."""
    dollars = Decimal(points) / per_unit
    if dollars and abs(dollars) < CENT:
        smallest = Decimal(1).scaleb(dollars.adjusted() - 1)
        return f"${_decimal(dollars.quantize(smallest, ROUND_HALF_UP))}"
    return f"${_decimal(dollars.quantize(CENT, ROUND_HALF_UP))}"


def _decimal(value: Decimal) -> str:
    """All digits of the value, with the language's own decimal mark."""
    return str(number_format(f"{value:f}", use_l10n=True))


def quota(points: int, options: Options) -> str:
    """As the operator wants quota shown: money, or points."""
    if options["DisplayInCurrencyEnabled"]:
        return money(points, options["QuotaPerUnit"])
    return abbreviated(points)


def rate(dollars: Decimal) -> str:
    """A price, which is not an amount: 2 decimals at least, 4 digits that count at most. 0.0375 → "$0.0375"."""
    places = max(2, 3 - dollars.adjusted()) if dollars else 2
    shown = dollars.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    while places > 2 and not shown.as_tuple().digits[-1]:
        places -= 1
        shown = shown.quantize(Decimal(1).scaleb(-places))
    return f"${_decimal(shown)}"


def cost(points: int, options: Options) -> str:
    """One log line's quota: six decimals where money is shown."""
    if options["DisplayInCurrencyEnabled"]:
        dollars = (Decimal(points) / options["QuotaPerUnit"]).quantize(MICRO, ROUND_HALF_UP)
        return f"${number_format(dollars, 6, use_l10n=True)}"
    return abbreviated(points)


LATEST = 253_402_128_000  # 9999-12-30: later ones some zone cannot show


def datetime_of(seconds: int, zone: tzinfo) -> datetime:
    """A moment beyond what a calendar holds is shown as its end."""
    return datetime.fromtimestamp(min(max(seconds, 0), LATEST), zone)


def moment(seconds: int, zone: tzinfo | None = None) -> str:
    """Unix seconds in the zone (else the person's) and the form of their language: `2026-01-31 08:00:00`."""
    return date_format(datetime_of(seconds, zone or timezone.get_current_timezone()), "DATETIME_FORMAT")


def day(seconds: int) -> str:
    return date_format(datetime_of(seconds, timezone.get_current_timezone()), "DATE_FORMAT")


def zone_name() -> str:
    return timezone.get_current_timezone_name()


def ago(seconds: int) -> str:
    """The largest unit of the age alone: "3 hours ago"; "just now" below a minute, and for a clock that is ahead."""
    then = datetime_of(seconds, UTC)
    if timezone.now() - then < timedelta(minutes=1):
        return gettext("just now")
    return gettext("%(age)s ago") % {"age": timesince(then, depth=1)}


def seconds(milliseconds: int) -> str:
    """1234 → "1.23 s"."""
    return f"{number_format(Decimal(milliseconds) / 1000, 2, use_l10n=True)} s"


def tone(name: str) -> int:
    """One of the chips' TONES for a name: the same one everywhere and always."""
    return crc32(name.encode()) % TONES


def masked(key: str) -> str:
    """Enough of a key to tell it from its neighbours, too little to use it: `sk-Ab12…yz89`."""
    if len(key) < 16:
        return "sk-…"
    return f"sk-{key[:4]}…{key[-4:]}"
