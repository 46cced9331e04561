"""A channel as the list and its page show it; pure, from rows that were read already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from channels_app.models import BreakerState, Channel, ChannelHealth, ChannelStatus, Outcome, TestRunResult
from channels_app.providers import PROVIDERS, choices
from channels_app.validation import split_names
from console import formats

DOLLARS = frozenset({1, 8, 20})  # types by how their provider counts (console reference, 5.1)
YUAN = frozenset({4, 12, 36, 44})
YUAN_OF_10_000 = frozenset({5})
POINTS = frozenset({10, 13})
NOTHING_AT_ZERO = frozenset({1})  # OpenAI tells no balance to keys any more
STATES: Mapping[int, tuple[str, str | Promise]] = {
    ChannelStatus.ENABLED: ("success", gettext_lazy("enabled")),
    ChannelStatus.DISABLED: ("danger", gettext_lazy("disabled by hand")),
    ChannelStatus.AUTO_DISABLED: ("warning", gettext_lazy("disabled automatically")),
}
OUTCOMES: Mapping[int, tuple[str, str]] = {
    Outcome.PASSED: ("success", "passed"),
    Outcome.SLOW: ("warning", "slow"),
    Outcome.FAILED: ("danger", "failed"),
}
SPEEDS = ((1000, "success"), (3000, "info"), (5000, "warning"))  # milliseconds up to which a test counts as what
SHOWN_MODELS = 8  # names of a long list that are shown before it is opened


@dataclass(frozen=True)
class Bar:
    """One test in the row of small bars: `place` from the left, `height` of 16, `top` what is left above it."""

    place: int
    height: int
    outcome: str

    @property
    def top(self) -> int:
        return 16 - self.height


@dataclass(frozen=True)
class Row:
    """`error`: what is wrong with what was typed into the row; `field`: into which of its boxes."""

    channel: Channel
    type_name: str
    tests: Sequence[TestRunResult] = ()
    error: str = ""
    field: str = ""

    @property
    def groups(self) -> list[str]:
        return sorted(split_names(self.channel.group)) or ["default"]

    @property
    def tags(self) -> list[str]:
        return split_names(self.channel.tags)

    @cached_property
    def models(self) -> list[str]:
        return split_names(self.channel.model_names)

    @property
    def first_models(self) -> list[str]:
        return self.models[:SHOWN_MODELS]

    @property
    def more_models(self) -> list[str]:
        return self.models[SHOWN_MODELS:]

    @property
    def enabled(self) -> bool:
        return self.channel.status == ChannelStatus.ENABLED

    @property
    def state_kind(self) -> str:
        return STATES.get(self.channel.status, ("neutral", ""))[0]

    @property
    def state(self) -> str:
        return str(STATES.get(self.channel.status, ("", _("unknown")))[1])

    @property
    def bars(self) -> list[Bar]:
        """The slower, the higher; what failed stands out by its full height."""
        return [
            Bar(place * 5, 16 if test.outcome == Outcome.FAILED else _height(test.milliseconds), _outcome(test)[1])
            for place, test in enumerate(self.tests)
        ]

    @property
    def bars_width(self) -> int:
        return max(len(self.tests) * 5 - 1, 0)

    @property
    def tests_passed(self) -> int:
        return sum(test.outcome != Outcome.FAILED for test in self.tests)

    @property
    def health(self) -> ChannelHealth | None:
        return getattr(self.channel, "health", None)

    @property
    def live_share(self) -> int | None:
        """Per cent of the latest live calls that went well; None where none are counted (ENABLE_METRIC)."""
        outcomes = self.health.outcomes if self.health else ""
        return round(100 * outcomes.count("1") / len(outcomes)) if outcomes else None

    @property
    def breaker_open(self) -> bool:
        return self.health is not None and self.health.breaker_state != BreakerState.CLOSED

    @property
    def test_kind(self) -> str:
        """How the last test counts: a failed one is bad however fast it was."""
        if self.channel.test_outcome == Outcome.FAILED:
            return "danger"
        speed = self.channel.test_milliseconds or self.channel.response_time
        return next((kind for bound, kind in SPEEDS if speed <= bound), "danger")

    @property
    def test_text(self) -> str:
        """D21: a test that failed is not one that was never made. Rows from before the outcome was kept have a time."""
        channel = self.channel
        milliseconds = channel.test_milliseconds or channel.response_time
        if not channel.test_time:
            return _("not tested")
        if channel.test_outcome == Outcome.FAILED or not milliseconds:
            return _("failed after %(time)s") % {"time": formats.seconds(milliseconds)} if milliseconds else _("failed")
        return formats.seconds(milliseconds)

    @property
    def balance(self) -> str:
        return shown_balance(self.channel)

    @property
    def has_balance(self) -> bool:
        provider = PROVIDERS.get(self.channel.type)
        return provider is not None and provider.balance_supported


def rows_of(channels: Iterable[Channel], tests: Mapping[int, Sequence[TestRunResult]]) -> list[Row]:
    names = dict(choices())
    return [
        Row(channel, names.get(channel.type, f"#{channel.type}"), tests.get(channel.pk, ())) for channel in channels
    ]


def shown_balance(channel: Channel) -> str:
    """In the provider's unit, two decimals; "–" where it tells none, or was never asked."""
    amount, kind = channel.balance, channel.type
    if not channel.balance_updated_time or (kind in NOTHING_AT_ZERO and not amount):
        return "–"
    if kind in DOLLARS:
        return f"${amount:.2f}"
    if kind in YUAN:
        return f"¥{amount:.2f}"
    if kind in YUAN_OF_10_000:
        return f"¥{amount / 10_000:.2f}"
    return formats.abbreviated(round(amount)) if kind in POINTS else "–"


def schedule(every: int | None) -> str:
    """When a channel is tested though nobody asks, in words. `every`: its own minutes, None where it has none."""
    minutes = settings.CHANNEL_TEST_FREQUENCY if every is None else every
    if not minutes:
        return _("never")
    text = ngettext("every minute", "every %(minutes)d minutes", minutes) % {"minutes": minutes}
    return _("%(every)s, as the server does for all") % {"every": text} if every is None else text


def outcome_kind(outcome: int) -> str:
    return OUTCOMES.get(outcome, ("neutral", ""))[0]


def _outcome(test: TestRunResult) -> tuple[str, str]:
    return OUTCOMES.get(test.outcome, ("neutral", "unknown"))


def _height(milliseconds: int) -> int:
    """4 to 14 of 16: up to ten seconds."""
    return 4 + min(10, milliseconds // 1000)
