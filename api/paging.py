"""Pages and searches: a bare array in `data`, totals in a header (management contract, 1.8).

Page size is 10 unless `per_page` asks for more. `page_size` and `size` stay without meaning: one theme sends them
and expects 10 rows all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import F, Model, Q, QuerySet
from django.db.models.functions import Lower
from django.db.models.lookups import StartsWith
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import query_integer
from api.envelope import answer

PAGE = 10
LONGEST_PAGE = 100
SEARCH_LIMIT = 500  # rows of a search, which has no pages
COUNTED = 10_000  # the largest total worth counting in a request
DEEPEST = 2**31

Row = TypeVar("Row", bound=Model)


def page(request: Request, rows: QuerySet[Row], to_json: Callable[[Row], dict[str, Any]]) -> Response:
    """One page of `rows`, which are ordered. X-Total-Count is left out where there are more than COUNTED."""
    size = min(max(query_integer(request, "per_page"), PAGE), LONGEST_PAGE)
    start = min(max(query_integer(request, "p"), 0), DEEPEST) * size
    response = answer([to_json(row) for row in rows[start : start + size]])
    total = rows.order_by()[: COUNTED + 1].count()
    if total <= COUNTED:
        response["X-Total-Count"] = str(total)
    return response


def begins(column: str, keyword: str) -> Q:
    """The column begins with the keyword, whatever their case; `%` and `_` stand for themselves (remedy P3).

    `istartswith` would follow the collation, which the three databases have each their own of. Beyond ASCII, SQLite
    knows no lower case: there the keyword as typed decides.
    """
    return Q(**{f"{column}__startswith": keyword}) | Q(StartsWith(Lower(F(column)), keyword.lower()))


def found(rows: QuerySet[Row], to_json: Callable[[Row], dict[str, Any]], limit: int = SEARCH_LIMIT) -> Response:
    return answer([to_json(row) for row in rows[:limit]])
