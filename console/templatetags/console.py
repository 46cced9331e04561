"""Tags by which templates show amounts, times, states and lists; the one place where each is given its form."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from django import template
from django.template.base import NodeList, Parser, Token
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from channels_app.models import Outcome, TestRunResult
from console import formats, icons
from console.lists import Listing

register = template.Library()


@register.simple_tag(takes_context=True)
def quota(context: dict[str, Any], points: int) -> SafeString:
    """`{% quota user.quota %}`; needs `options` in the context."""
    shown = formats.quota(points, context["options"])
    return format_html('<data value="{}" title="{}">{}</data>', points, _("%d points") % points, shown)


@register.simple_tag(takes_context=True)
def cost(context: dict[str, Any], points: int) -> SafeString | str:
    """What one call cost: six decimals, nothing for 0."""
    if not points:
        return ""
    shown = formats.cost(points, context["options"])
    return format_html('<data value="{}" title="{}">{}</data>', points, _("%d points") % points, shown)


@register.filter
def short(number: int) -> str:
    """2300000 → 2.3M, as counts are shown where space is dear."""
    return formats.abbreviated(int(number))


@register.simple_tag
def moment(seconds: int) -> SafeString | str:
    """Unix seconds as a `time` element in the person's zone; -1 is never (a key's expiry), 0 is nothing yet."""
    if seconds == -1:
        return _("never")
    if seconds <= 0:
        return "–"
    return _time(seconds, formats.moment(seconds), formats.zone_name())


@register.simple_tag
def ago(seconds: int) -> SafeString | str:
    """Unix seconds by their age ("3 hours ago"), the moment itself on hovering; for what matters by its age."""
    if seconds <= 0:
        return "–"
    return _time(seconds, formats.ago(seconds), f"{formats.moment(seconds)} {formats.zone_name()}")


@register.simple_tag
def day(seconds: int) -> SafeString | str:
    """Unix seconds as a date, the moment itself on hovering; for what needs no more."""
    if seconds <= 0:
        return "–"
    return _time(seconds, formats.day(seconds), f"{formats.moment(seconds)} {formats.zone_name()}")


def _time(seconds: int, shown: str, title: str) -> SafeString:
    machine = formats.datetime_of(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return format_html('<time datetime="{}" title="{}">{}</time>', machine, title, shown)


@register.filter
def seconds(milliseconds: int) -> str:
    """1234 → "1.23 s"."""
    return formats.seconds(milliseconds)


@register.simple_tag
def icon(name: str, size: int = 18, **attributes: str) -> SafeString:
    """A lucide icon, hidden from screen readers: what it means stands beside it, or in the button's label."""
    return icons.drawn(name, size, tuple(sorted(attributes.items())))


STATES = {
    "success": "circle-check",
    "warning": "triangle-alert",
    "danger": "circle-x",
    "info": "info",
    "neutral": "circle-minus",
    "accent": "zap",
}


TESTS = {
    Outcome.UNKNOWN: ("neutral", Outcome.UNKNOWN.label),
    Outcome.PASSED: ("success", Outcome.PASSED.label),
    Outcome.FAILED: ("danger", Outcome.FAILED.label),
    Outcome.SLOW: ("warning", Outcome.SLOW.label),
}


@register.simple_tag
def badge(kind: str, text: str, title: str = "") -> SafeString:
    """A state as a word, an icon and a tint, never by colour alone. `kind`: a key of STATES."""
    return format_html(
        '<span class="state {}"{}>{}{}</span>',
        kind,
        format_html(' title="{}"', title) if title else "",
        icon(STATES[kind], 14),
        text,
    )


@register.simple_tag
def outcome(result: TestRunResult) -> SafeString:
    """How the test of a channel ended."""
    kind, words = TESTS[Outcome(result.outcome)]
    return badge(kind, str(words))


@register.simple_tag
def label(text: str) -> SafeString:
    """A name (model, group, tag) as a chip; equal names have equal colours within the console."""
    return format_html('<span class="chip tone-{}">{}</span>', formats.tone(text), text)


@register.simple_tag
def data(value: Any) -> SafeString:
    """A value for a script, as JSON in an attribute: `data-points='{% data points %}'`."""
    return SafeString(conditional_escape(json.dumps(value, ensure_ascii=False)))


@register.inclusion_tag("console/parts/head.html")
def head(listing: Listing, bulk: bool = False) -> dict[str, Any]:
    """The header row of a list; with `bulk` its first cell chooses all rows, with `actions` it ends in an empty one."""
    return {"list": listing, "bulk": bulk}


@register.tag
def cell(parser: Parser, token: Token) -> CellNode:
    """`{% cell "name" %}…{% endcell %}`: a cell of column `name` of `list`; nothing where the person has hidden it.

    On a phone the row is a card, and the cell shows its column's label. A fixed first column is the row's header.
    """
    parts = token.split_contents()
    if len(parts) != 2:
        raise template.TemplateSyntaxError("cell takes the name of a column")
    inside = parser.parse(("endcell",))
    parser.delete_first_token()
    return CellNode(parts[1].strip("\"'"), inside)


class CellNode(template.Node):
    def __init__(self, name: str, inside: NodeList) -> None:
        self.name = name
        self.nodelist = inside

    def render(self, context: template.Context) -> str:
        listing: Listing = context["list"]
        if not listing.shows(self.name):
            return ""
        column = listing.column(self.name)
        inside = self.nodelist.render(context)
        number = mark_safe(' class="number"') if column.number else ""
        if column.fixed and column is listing.columns[0]:
            return format_html('<th scope="row"{}>{}</th>', number, SafeString(inside))
        return format_html('<td data-label="{}"{}>{}</td>', column.label, number, SafeString(inside))
