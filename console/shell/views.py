"""The frame around every page: colours, the folded menu, shown columns, the notice that is put away, the palette."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import check_for_language
from django.views import i18n
from django.views.decorators.http import require_POST, require_safe

from console import navigation, preferences
from console.context import NOTICE_COOKIE
from console.guards import page, public
from console.http import signed_in
from console.respond import back, respond
from console.shell.finding import things
from options import services as option_services


def remember(request: HttpRequest, name: str, value: str) -> HttpResponse:
    """Keep a wish and go back to the page it was made on."""
    answer = HttpResponseRedirect(back(request, reverse("home")))
    preferences.remember(request, answer, {name: value})
    return answer


@public
@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    wanted = request.POST.get("theme", "")
    return remember(request, "theme", wanted if wanted in preferences.THEMES else preferences.THEMES[0])


@public
def set_language(request: HttpRequest) -> HttpResponseBase:
    """As Django's, and kept with the account."""
    answer = i18n.set_language(request)
    if request.method == "POST" and check_for_language(request.POST.get("language", "")):
        preferences.remember(request, answer, {"language": request.POST["language"]})
    return answer


@public
@require_POST
def set_sidebar(request: HttpRequest) -> HttpResponse:
    return remember(request, "sidebar", "folded" if request.POST.get("sidebar") == "folded" else "open")


@page()
@require_POST
def set_columns(request: HttpRequest) -> HttpResponse:
    """`list`: its name. `known`: columns that could be chosen; `shown`: those that were. The rest are hidden."""
    shown = set(request.POST.getlist("shown"))
    hidden = [name for name in request.POST.getlist("known") if _is_name(name) and name not in shown]
    name = request.POST.get("list", "")
    if not _is_name(name):
        return HttpResponse(status=400)
    return remember(request, f"columns_{name}", ".".join(hidden) or ".")


def _is_name(text: str) -> bool:
    """Of a list or a column, as a cookie can hold it."""
    return text.isascii() and text.isidentifier()


@public
@require_POST
def dismiss_notice(request: HttpRequest) -> HttpResponse:
    digest = request.POST.get("notice", "")[:32]
    return remember(request, NOTICE_COOKIE, digest if digest.isascii() and digest.isalnum() else "")


@page()
@require_safe
def palette(request: HttpRequest) -> HttpResponse:
    """Pages that this person may open, and what is called like the words typed (`q`)."""
    words = request.GET.get("q", "").replace("\x00", "").strip()[:64]
    sections = navigation.menu(request, option_services.load())
    entries = [shown for section in sections for shown in section.entries]
    found = [shown for shown in entries if words.casefold() in str(shown.entry.label).casefold()]
    context = {"q": words, "pages": found, "groups": things(signed_in(request), words)}
    parts = {"dialog-body": "console/shell/palette_box.html", "palette-found": "console/shell/palette_found.html"}
    return respond(request, "console/shell/palette.html", context, parts=parts)
