"""Tags by which templates show quota and times; both carry the exact value for machines and hovering."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from console import formats

register = template.Library()


@register.simple_tag(takes_context=True)
def quota(context: dict[str, Any], points: int) -> SafeString:
    """`{% quota user.quota %}`; needs `options` in the context."""
    shown = formats.quota(points, context["options"])
    return format_html('<data value="{}" title="{}">{}</data>', points, _("%d points") % points, shown)


@register.simple_tag
def moment(seconds: int) -> SafeString | str:
    """Unix seconds as a `time` element; -1 is never (a token's expiry), 0 is nothing yet."""
    if seconds == -1:
        return _("never")
    if seconds <= 0:
        return "–"
    machine = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return format_html('<time datetime="{}" title="UTC">{}</time>', machine, formats.moment(seconds))


@register.filter
def seconds(milliseconds: int) -> str:
    """1234 → "1.23 s"."""
    return f"{milliseconds / 1000:.2f} s"
