"""Addresses of the console's pages; those of the reference stay where bookmarks expect them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from console import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("login", views.login_page, name="login"),
    path("logout", views.logout_page, name="logout"),
    path("setting/password", views.password_page, name="password"),
    path("panel", views.panel, name="panel"),
    path("panel/tokens", views.add_token, name="token-add"),
    path("panel/tokens/<int:pk>/reveal", views.reveal_token, name="token-reveal"),
    path("i18n/setlang", set_language, name="set_language"),
    path("django-admin", RedirectView.as_view(pattern_name="admin:index")),
    path("django-admin/", admin.site.urls),
]
