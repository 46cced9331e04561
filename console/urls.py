"""Addresses of the console's pages; those of the reference stay where bookmarks expect them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView

from console.shell import views as shell

PANEL = "/%(rest)s"  # berry's addresses are the others with /panel before them

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("console.home.urls")),
    path("", include("console.help.urls")),
    path("", include("console.account.urls")),
    path("", include("console.shell.urls")),
    path("", include("console.dashboard.urls")),
    path("", include("console.analytics.urls")),
    path("", include("console.dashboard.urls")),
    path("", include("console.analytics.urls")),
    path("", include("console.keys.urls")),
    path("", include("console.models.urls")),
    path("", include("console.users.urls")),
    path("", include("console.codes.urls")),
    path("", include("console.topup.urls")),
    path("", include("console.logs.urls")),
    path("", include("console.audits.urls")),
    path("", include("console.options.urls")),
    path("", include("console.playground.urls")),
    path("", include("console.prices.urls")),
    path("", include("console.groups.urls")),
    path("", include("console.channels.urls")),
    path("", include("console.channel_form.urls")),
    path("", include("console.test_runs.urls")),
    path("", include("console.runtime.urls")),
    path("panel", RedirectView.as_view(pattern_name="dashboard")),
    re_path(r"^panel/(?P<rest>[a-z].*)$", RedirectView.as_view(url=PANEL, query_string=True)),
    path("i18n/setlang", shell.set_language, name="set_language"),
    path("django-admin", RedirectView.as_view(pattern_name="admin:index")),
    path("django-admin/", admin.site.urls),
]
