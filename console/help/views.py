"""The help page: for everybody, and for administrators a little more."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import Role, User
from console import navigation, operator_text
from console.guards import public
from console.site import base_address
from options import services as option_services

SHORTCUTS = (
    (("/",), _("Go to the search of this page")),
    (("Ctrl", "K"), _("Find pages and things")),
    (("n",), _("Make something new, on pages where that can be done")),
    (("?",), _("Open this page")),
    (("Esc",), _("Close what is on top")),
    (("Ctrl", "Enter"), _("Send the form")),
)


@public
@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    options = option_services.load()
    user = request.user
    entries = [shown.entry for section in navigation.menu(request, options) for shown in section.entries]
    context = {
        "shortcuts": SHORTCUTS,
        "pages": [entry for entry in entries if entry.key],
        "notice_text": operator_text.rendered(options["Notice"]) if options["Notice"].strip() else "",
        "contact": operator_text.rendered(options["Contact"]) if options["Contact"].strip() else "",
        "base_address": base_address(request, options),
        "is_admin": isinstance(user, User) and user.is_active and user.role >= Role.ADMIN,
    }
    return render(request, "console/help/help.html", context)
