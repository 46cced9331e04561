"""Everything below /api/: each app's routes, and what is left over."""

from __future__ import annotations

from django.urls import include, path, re_path

from api import schema, views
from api.routing import both

urlpatterns = [
    *both("status", views.Status),
    *both("notice", views.Notice),
    *both("about", views.About),
    *both("home_page_content", views.HomePageContent),
    *both("models", views.Models),
    *both("group", views.Groups),
    *both("schema", schema.Document),
    path("docs", schema.docs, name="api-docs"),
    path("docs/", schema.docs),
    path("", include("accounts.api_urls")),
    path("", include("options.api_urls")),
    path("", include("channels_app.api_urls")),
    path("", include("redemptions.api_urls")),
    path("", include("billing.api_urls")),
    re_path("", views.Unknown.as_view()),
]
