"""One formatter each for quota, numbers and times (console reference, 2.1 to 2.3)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

from options.registry import Options

CENT = Decimal("0.01")


def abbreviated(number: int) -> str:
    """2300000 → "2.3M"; below 10,000 the plain number."""
    size = abs(number)
    for bound, unit, letter in ((10**9, 10**9, "B"), (10**6, 10**6, "M"), (10**4, 10**3, "k")):
        if size >= bound:
            return f"{number / unit:.1f}{letter}"
    return str(number)


def money(points: int, per_unit: Decimal) -> str:
    """Points as dollars with 2 decimals; an amount below a cent keeps 2 significant digits instead of showing 0."""
    dollars = Decimal(points) / per_unit
    if dollars and abs(dollars) < CENT:
        smallest = Decimal(1).scaleb(dollars.adjusted() - 1)
        return f"${dollars.quantize(smallest, ROUND_HALF_UP):f}"
    return f"${dollars.quantize(CENT, ROUND_HALF_UP):f}"


def quota(points: int, options: Options) -> str:
    """As the operator wants quota shown: money, or points."""
    if options["DisplayInCurrencyEnabled"]:
        return money(points, options["QuotaPerUnit"])
    return abbreviated(points)


def moment(seconds: int) -> str:
    """Unix seconds as `2026-01-31 08:00:00` in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def masked(key: str) -> str:
    """Enough of a key to tell it from its neighbours, too little to use it: `sk-Ab12…yz89`."""
    if len(key) < 16:
        return "sk-…"
    return f"sk-{key[:4]}…{key[-4:]}"
