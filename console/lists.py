"""Lists: what is filtered, sorted and shown is in the query string, and the database does it (console reference, 2.4).

A page names its columns and its filter form; `Listing` reads the request. Templates draw it with the tags `head` and
`cell` and the parts `filter_bar` and `pager`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

from django import forms
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.functional import Promise

from console import preferences

PAGE_SIZES = (10, 20, 50, 100)
COUNTED = 10_000  # rows that are counted; of a larger list the pager says "more than"


@dataclass(frozen=True)
class Column:
    """`name` is what the address and the template call it. `sort`: fields of the row to order by; none: not sortable.

    `number`: right-aligned. `fixed`: cannot be hidden. `hidden`: not shown until the person wants it.
    """

    name: str
    label: str | Promise
    sort: tuple[str, ...] = ()
    number: bool = False
    fixed: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Head:
    """A column as its header cell shows it: `address` sorts by it (the other way round when it is sorted already)."""

    column: Column
    address: str  # "" where it cannot be sorted
    direction: str  # "ascending", "descending" or "": the value of aria-sort


class Counted(Paginator):  # type: ignore[type-arg]  # no generic at run time
    """Counts no further than COUNTED, so that a list of millions costs as little as a short one."""

    @cached_property
    def more(self) -> bool:
        return self._counted > COUNTED

    @cached_property
    def count(self) -> int:
        return min(self._counted, COUNTED)

    @cached_property
    def _counted(self) -> int:
        rows = self.object_list
        return rows.order_by()[: COUNTED + 1].count() if isinstance(rows, QuerySet) else len(rows)


class Listing:
    """One list as this request wants it. `rows` are already filtered; `order` is the sort without one in the address.

    Rows that are no query are sorted here, by the attributes that a column's `sort` names. `keeps`: parameters of the
    address that say which list it is, and stay when it is filtered.

    Parameters of the address: `sort` (a column's name, "-" before it for descending), `page`, `size`, and those of the
    filter form. Anything that makes no sense counts as absent.
    """

    def __init__(
        self,
        request: HttpRequest,
        name: str,
        columns: Sequence[Column],
        rows: QuerySet[Any] | Sequence[Any],
        *,
        order: str,
        filters: forms.Form | None = None,
        target: str = "list",
        keeps: Sequence[str] = (),
    ) -> None:
        self.request = request
        self.name = name
        self.target = target
        self.keeps = tuple(keeps)
        self.filters = filters
        self.all_columns = tuple(columns)
        chosen = preferences.of(request)
        hidden = chosen.hidden(name, {column.name for column in columns if column.hidden})
        self.columns = tuple(column for column in columns if column.fixed or column.name not in hidden)
        self._by_name = {column.name: column for column in columns}
        self.sort = self._sort(order)
        size = request.GET.get("size", "")
        self.size = int(size) if size in map(str, PAGE_SIZES) else chosen.page_size
        self.sizes = PAGE_SIZES
        self._rows = rows

    @cached_property
    def page(self) -> Page[Any]:
        return Counted(self._ordered(), self.size).get_page(self.request.GET.get("page"))

    @cached_property
    def rows(self) -> list[Any]:
        return list(self.page.object_list)

    @property
    def more(self) -> bool:
        """There are more than were counted."""
        return bool(getattr(self.page.paginator, "more", False))

    @property
    def heads(self) -> list[Head]:
        return [self._head(column) for column in self.columns]

    @property
    def pages(self) -> list[int | str]:
        """Numbers for the pager, with Paginator.ELLIPSIS where some are left out."""
        return list(self.page.paginator.get_elided_page_range(self.page.number, on_each_side=1, on_ends=1))

    @cached_property
    def active(self) -> list[tuple[str, str, str]]:
        """The filters that are set: (label, value, the address without it)."""
        return active_filters(self.request, self.filters) if self.filters is not None else []

    @property
    def carried(self) -> list[tuple[str, str]]:
        """Parameters that a filter form takes along: how the list is sorted, and how much of it is shown at a time."""
        return [(name, self.request.GET[name]) for name in (*self.keeps, "sort", "size") if name in self.request.GET]

    def shows(self, name: str) -> bool:
        return any(column.name == name for column in self.columns)

    def column(self, name: str) -> Column:
        return self._by_name[name]

    def address(self, **changes: str | int | None) -> str:
        """This list's address with parameters changed; None takes one out. A new sort or filter begins at page 1."""
        return address(self.request, {"page": None, **changes})

    def _sort(self, default: str) -> str:
        wanted = self.request.GET.get("sort", "")
        column = self._by_name.get(wanted.removeprefix("-"))
        return wanted if column is not None and column.sort else default

    def _ordered(self) -> QuerySet[Any] | list[Any]:
        if isinstance(self._rows, QuerySet):
            return self._rows.order_by(*self._order())
        column = self._by_name[self.sort.removeprefix("-")]
        return sorted(self._rows, key=attrgetter(*column.sort), reverse=self.sort.startswith("-"))

    def _order(self) -> list[str]:
        backwards = self.sort.startswith("-")
        column = self._by_name[self.sort.removeprefix("-")]
        fields = [f"-{field}" if backwards else field for field in column.sort]
        return fields if column.sort[-1] in ("pk", "id") else [*fields, "-pk"]  # a stable order: pages do not overlap

    def _head(self, column: Column) -> Head:
        if not column.sort:
            return Head(column, "", "")
        if self.sort == column.name:
            return Head(column, self.address(sort=f"-{column.name}"), "ascending")
        if self.sort == f"-{column.name}":
            return Head(column, self.address(sort=column.name), "descending")
        return Head(column, self.address(sort=f"-{column.name}" if column.number else column.name), "")


def address(request: HttpRequest, changes: Mapping[str, str | int | None]) -> str:
    """The request's own address with some parameters changed; None takes one out."""
    query: QueryDict = request.GET.copy()
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = str(value)
    text = query.urlencode()
    return f"{request.path}?{text}" if text else request.path


def active_filters(request: HttpRequest, form: forms.Form) -> list[tuple[str, str, str]]:
    """The filters of a GET form that are set: (label, value as people read it, the address without it)."""
    found: list[tuple[str, str, str]] = []
    for field in form.visible_fields():
        values = [value for value in request.GET.getlist(form.add_prefix(field.name)) if value.strip()]
        if not values or field.name in form.errors:
            continue
        choices = {str(key): str(label) for key, label in _flat(getattr(field.field, "choices", ()))}
        shown = ", ".join(choices.get(value, value) for value in values)
        found.append((str(field.label), shown, address(request, {field.name: None, "page": None})))
    return found


def _flat(choices: Any) -> list[tuple[Any, Any]]:
    flat: list[tuple[Any, Any]] = []
    for key, label in choices:
        if isinstance(label, list | tuple):
            flat += label
        else:
            flat.append((key, label))
    return flat
