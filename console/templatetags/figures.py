"""Tags of pages with figures."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django import template
from django.template.loader import render_to_string
from django.utils.formats import number_format
from django.utils.safestring import SafeString

from console.figures.charts import sparkline

register = template.Library()


@register.simple_tag
def spark(points: Sequence[int]) -> SafeString:
    return render_to_string("console/figures/spark.html", {"points": sparkline(points)})


@register.simple_tag
def percent(share: float) -> str:
    """0.123 → "12.3 %"; what is not nothing is never shown as 0."""
    value = Decimal(str(share * 100))
    if 0 < value < Decimal("0.1"):
        return f"< {number_format(Decimal('0.1'), 1, use_l10n=True)} %"
    return f"{number_format(value, 1, use_l10n=True)} %"
