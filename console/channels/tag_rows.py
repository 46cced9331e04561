"""A tag as the list by tags shows it; pure, from what was summed up already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from channels_app.listing import NO_TAG, Filters
from channels_app.tags import Together
from console import formats
from console.channels.rows import DOLLARS, NOTHING_AT_ZERO, POINTS, YUAN, YUAN_OF_10_000


@dataclass(frozen=True)
class TagRow:
    """`query`: the list's address for these channels and no others, as `channels_app.listing.read` takes it."""

    sums: Together
    query: str

    @property
    def place(self) -> tuple[bool, str]:
        """Those without a tag come after the tags."""
        return not self.tagged, self.sums.tag

    @property
    def tagged(self) -> bool:
        return self.sums.tag != NO_TAG

    @property
    def name(self) -> str:
        return self.sums.tag if self.tagged else _("without a tag")

    @cached_property
    def models(self) -> list[str]:
        return sorted(self.sums.models)

    @property
    def models_count(self) -> int:
        return len(self.sums.models)

    @property
    def channels(self) -> int:
        return self.sums.channels

    @property
    def used_quota(self) -> int:
        return self.sums.used_quota

    @property
    def balances(self) -> list[str]:
        return shown_balances(self.sums.balances)

    @property
    def live_share(self) -> int | None:
        """Per cent of the latest live calls that went well; None where none are counted (ENABLE_METRIC)."""
        return round(100 * self.sums.calls_well / self.sums.calls) if self.sums.calls else None

    @property
    def tests_kind(self) -> str:
        return "success" if self.sums.passed == self.sums.tested else "danger"


def tag_rows(sums: Iterable[Together], filters: Filters) -> list[TagRow]:
    """`filters`: those under which the sums were made; a row's channels match them too."""
    return [TagRow(each, urlencode(replace(filters, tag=each.tag).query())) for each in sums]


def shown_balances(by_type: Mapping[int, float]) -> list[str]:
    """One sum for each unit that providers count in, as a single channel's balance is written."""
    dollars = [
        amount for kind, amount in by_type.items() if kind in DOLLARS and (amount or kind not in NOTHING_AT_ZERO)
    ]
    yuan = [amount for kind, amount in by_type.items() if kind in YUAN]
    yuan += [amount / 10_000 for kind, amount in by_type.items() if kind in YUAN_OF_10_000]
    points = [amount for kind, amount in by_type.items() if kind in POINTS]
    shown = [f"{sign}{sum(amounts):.2f}" for sign, amounts in (("$", dollars), ("¥", yuan)) if amounts]
    return [*shown, formats.abbreviated(round(sum(points)))] if points else shown
