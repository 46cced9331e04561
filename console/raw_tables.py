"""Django's admin for root: the site, and what its model pages share.

Nothing here writes rows of its own accord. Pages that change something call the same services as the API, so that
abilities, versions, the ledger and the audit follow; a service's refusal comes back as an error of the form.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from functools import cached_property, update_wrapper
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _

from accounts.http import sign_out
from console import formats

COUNTED = 10_000  # rows a pager counts at most; beyond it the figure reads "at least"


class RawTables(admin.AdminSite):
    """The site under /django-admin/. Signs nobody in itself: /login is the one door, with one throttle."""

    site_header = _("Raw tables")
    site_title = _("Raw tables")
    index_title = _("Tables")
    enable_nav_sidebar = True

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Django sends whoever lacks the right to sign in; a signed-in person without it is refused instead."""
        inner = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            answer: HttpResponseBase = inner(request, *args, **kwargs)
            return answer

        return update_wrapper(guarded, inner)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.user.is_authenticated:
            if self.has_permission(request):
                return redirect("admin:index")
            raise PermissionDenied
        return redirect_to_login(request.GET.get("next", "/django-admin/"), "/login")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if request.method != "POST":
            return redirect("admin:index")
        sign_out(request)
        return redirect("login")

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return redirect("password")


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than COUNTED, so that a table of millions costs as little as a small one."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if isinstance(rows, QuerySet):
            return rows.order_by()[:COUNTED].count()
        return len(rows)


class Table(admin.ModelAdmin):  # type: ignore[type-arg]
    """What all pages share."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """None where there is no such row. No text holds a NUL; PostgreSQL raises where it is asked for one."""
        return None if "\x00" in object_id else super().get_object(request, object_id, from_field)


class LargeTable(Table):
    """A table that may hold millions of rows: newest first, no count of the whole, no facets."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200
    ordering = ("-pk",)


class ReadOnly(LargeTable):
    """May be looked at, and nothing else. Actions are named off, since Django would offer deletion."""

    actions: Any = None

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class RefusedError(Exception):
    """A service would not do it. `field` names the form's field the message belongs to, "" the form as a whole."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose saving is a service call; `refusal` is what the service said at the first try."""

    refusal: RefusedError | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            for field in self.instance._meta.fields:
                if field.name in self.fields:
                    self.watch(field.name)

    def watch(self, name: str) -> None:
        """Send the value along that the page was made with. A balance or status that moved while the form lay open
        then counts as what it is, not as something this person changed."""
        self.fields[name].show_hidden_initial = True

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.refusal is not None:
            field = self.refusal.field if self.refusal.field in self.fields else None
            self.add_error(field, str(self.refusal))
        return cleaned

    def save(self, commit: bool = True) -> Any:
        """The instance unsaved: `save_model` hands it to the service."""
        return super().save(commit=False)

    def save_m2m(self) -> None:
        """Nothing to do: none of these models has a relation of many to many."""

    _save_m2m = save_m2m


class ServiceAdmin(Table):
    """A page that writes through services. Subclasses raise `RefusedError` in `save_model` or `delete_model`."""

    show_full_result_count = False
    list_per_page = 50

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """A refusal has rolled the transaction back by now; the page is built again with it as a form error."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except RefusedError as refusal:
            request.refusal = refusal  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"refusal": getattr(request, "refusal", None)})

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """What a deletion names: the rows themselves. What hangs on them is the service's business."""
        named = [str(obj) for obj in objs]
        return named, {str(self.opts.verbose_name_plural): len(named)}, set(), []

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self.delete_model(request, obj)


class SecretInput(forms.PasswordInput):
    """One line of secret: typed blind, never sent back to the page."""

    def __init__(self) -> None:
        super().__init__(render_value=False, attrs={"autocomplete": "new-password", "class": "vTextField"})


class SecretTextarea(forms.Textarea):
    """Several lines of secret. What was typed or stored is never sent back to the page."""

    def __init__(self, rows: int = 4) -> None:
        super().__init__(
            attrs={"rows": rows, "autocomplete": "off", "spellcheck": "false", "class": "vLargeTextField object-secret"}
        )

    def format_value(self, value: Any) -> None:
        return None


def reveal_page(
    page: admin.ModelAdmin[Any], request: HttpRequest, title: Any, rows: list[tuple[str, str]]
) -> HttpResponse:
    """Secrets, as (label, secret), on a page of their own that no cache keeps. The caller records who looked."""
    context = {**page.admin_site.each_context(request), "title": title, "rows": rows, "opts": page.opts}
    return render(request, "admin/revealed.html", context)


def moment_column(field: str, label: Any) -> Callable[[Any, Any], str]:
    """A list column that shows a field of unix seconds as a date and time; 0 is a dash, -1 is never."""

    @admin.display(description=label, ordering=field)
    def column(self: Any, row: Any) -> str:
        seconds = getattr(row, field)
        if seconds == -1:
            return str(_("never"))
        return formats.moment(seconds, UTC) if seconds > 0 else "–"

    return column
