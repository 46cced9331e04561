"""The tabs of settings: each group is a form of its own, saved whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.forms import BoundField
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.external.redirects import callback
from accounts.http import actor_of
from accounts.models import Role
from accounts.ways_in import locked_out, only_by_password
from billing import reports
from console import operator_text
from console.guards import page
from console.http import signed_in
from console.options.checks import CHECKS, Outcome
from console.options.checks import discover as ask_provider
from console.options.forms import CLEAR, GroupForm, PurgeForm, month_ago
from console.options.table import LABELS, TABS, Group, Item, Tab
from console.respond import fragment, go, respond
from options import services
from options.models import OptionChange
from options.registry import SPECS, Options
from options.services import BadOptions, last_changes

CONFIRM = "confirm_password_off"


@dataclass(frozen=True)
class ShownItem:
    """One field and what is told below it. `default` is "" where it would say nothing."""

    item: Item
    box: BoundField
    clear: BoundField | None
    default: str
    change: OptionChange | None
    differs: bool  # from the default: it can be reset


@dataclass(frozen=True)
class ShownGroup:
    group: Group
    form: GroupForm
    items: Sequence[ShownItem]
    callback: str = ""
    outcome: Outcome | None = None
    asks: str = ""  # a question that has to be answered before this is saved


@page(Role.ROOT)
@require_safe
def tab(request: HttpRequest, name: str) -> HttpResponse:
    return _page(request, TABS[name], services.load())


@page(Role.ROOT)
@require_http_methods(["GET", "HEAD", "POST"])
def save(request: HttpRequest, tab_name: str, group_name: str) -> HttpResponse:
    """Save a group; `reset`: instead give this one option its default again."""
    chosen, group = _group(tab_name, group_name)
    if request.method != "POST":
        return go(request, _address(chosen, group))
    options = services.load()
    if (key := request.POST.get("reset", "")) in SPECS:
        return _reset(request, chosen, group, options, key)
    form = GroupForm(request.POST, group=group, options=options)
    asks = ""
    if form.is_valid():
        changes = form.changes()
        shut = _shut_out(options, changes)
        asks = _question(request, options, changes) if not shut else ""
        if shut:
            form.add_error(None, shut)
        elif not asks and _stored(request, form, changes):
            return _saved(request, chosen, group)
    return _answer(request, chosen, group, form, asks=asks, status=422)


@page(Role.ROOT)
@require_POST
def check(request: HttpRequest, what: str) -> HttpResponse:
    """Try the stored settings."""
    if what not in CHECKS:
        raise Http404
    outcome = CHECKS[what](services.load(), signed_in(request))
    if request.htmx:  # type: ignore[attr-defined]
        return fragment(request, "console/options/_outcome.html", {"outcome": outcome})
    (messages.success if outcome.well else messages.error)(request, outcome.text)
    chosen, group = _group_with(what)
    return go(request, _address(chosen, group))


@page(Role.ROOT)
@require_POST
def discover(request: HttpRequest) -> HttpResponse:
    """Read the discovery address that was typed, and fill the endpoints in; nothing is saved."""
    chosen, group = _group("system", "oidc")
    outcome, found = ask_provider(request.POST.get("OidcWellKnown", "").strip())
    data = request.POST.copy()
    for name in found:
        data[name] = found[name]
    initial = {**data.dict(), "OidcEnabled": "OidcEnabled" in data}
    form = GroupForm(initial=initial, group=group, options=services.load())
    return _answer(request, chosen, group, form, outcome=outcome)


@page(Role.ROOT)
@require_POST
def preview(request: HttpRequest, key: str) -> HttpResponse:
    """What visitors will see of a text that is not saved yet."""
    if key not in SPECS:
        raise Http404
    text = request.POST.get(key, "")
    context = {
        "key": key,
        "html": operator_text.sanitised(text) if key == "Footer" else operator_text.rendered(text),
        "link": operator_text.link(text) if key in ("HomePageContent", "About") else "",
        "document": text.lstrip()[:15].lower().startswith(("<!doctype", "<html")),
        "empty": not text.strip(),
    }
    parts = {f"preview-{key}": "console/options/_preview.html"}
    return respond(request, "console/options/preview.html", context, parts=parts)


@page(Role.ROOT)
@require_http_methods(["GET", "HEAD", "POST"])
def purge(request: HttpRequest) -> HttpResponse:
    """Delete old log lines: the moment, then how many there are and a typed confirmation (defect D37)."""
    form = PurgeForm(request.POST or None, initial={"before": month_ago()})
    back = reverse("options") + "#group-logs"
    if request.method == "POST" and form.is_valid():
        before = int(form.cleaned_data["before"].timestamp())
        rows = reports.older_than(before)
        if not rows:
            messages.info(request, _("There are no log lines that old."))
            return go(request, back)
        if request.POST.get("typed") == str(rows):
            deleted = reports.purge(actor_of(request), before)
            messages.success(request, ngettext("%d log line deleted.", "%d log lines deleted.", deleted) % deleted)
            return go(request, back)
        context = {
            "question": ngettext("Delete %d log line?", "Delete %d log lines?", rows) % rows,
            "consequence": _(
                "Nobody can look these calls up any more. Balances and the ledger stay. This cannot be undone."
            ),
            "action": reverse("options-purge"),
            "verb": _("Delete log lines"),
            "typed": rows,
            "extra": "console/options/_purge_moment.html",
            "moment": request.POST["before"],
            "return_to": back,
            "typed_wrong": "typed" in request.POST,
        }
        return respond(request, "console/confirm.html", context, status=422 if "typed" in request.POST else 200)
    status = 422 if request.method == "POST" else 200
    return respond(request, "console/options/purge.html", {"form": form, "return_to": back}, status=status)


def _group(tab_name: str, group_name: str) -> tuple[Tab, Group]:
    chosen = TABS.get(tab_name)
    group = chosen.group(group_name) if chosen is not None else None
    if chosen is None or group is None:
        raise Http404
    return chosen, group


def _group_with(what: str) -> tuple[Tab, Group]:
    return next(
        (each, group) for each in TABS.values() for group in each.groups if what in [one.what for one in group.checks]
    )


def _address(chosen: Tab, group: Group) -> str:
    name = "options" if chosen.name == "operation" else f"options-{chosen.name}"
    return f"{reverse(name)}#group-{group.name}"


def _after(options: Options, changes: Mapping[str, str | None]) -> Options:
    texts = {key: text for key, text in {**options.texts, **changes}.items() if text is not None}
    return Options(texts, {"Theme": settings.THEME})


def _reset(request: HttpRequest, chosen: Tab, group: Group, options: Options, key: str) -> HttpResponse:
    """Give one option its default again; what else was typed into the form is let go."""
    changes: dict[str, str | None] = {key: None}
    problem = _shut_out(options, changes)
    if not problem:
        try:
            services.set_options(actor_of(request), changes, note="settings")
        except BadOptions as error:
            problem = " ".join(error.problems.values())
    if problem:
        messages.error(request, problem)
    else:
        messages.success(request, _("“%s” has its default again.") % LABELS.get(key, key))
    return _saved(request, chosen, group)


def _shut_out(options: Options, changes: Mapping[str, str | None]) -> str:
    """Why this must not be saved: a root account could not log in any more; "" where none is kept out."""
    names = locked_out(options, _after(options, changes)) if changes else []
    if not names:
        return ""
    return _("Not saved: %s could not log in any more. Bind another way to log in first.") % ", ".join(names)


def _question(request: HttpRequest, options: Options, changes: Mapping[str, str | None]) -> str:
    """Logging in by password is switched off only when asked twice: others may know no other way."""
    if changes.get("PasswordLoginEnabled") != "false" or request.POST.get(CONFIRM):
        return ""
    people = only_by_password(_after(options, changes))
    return (
        ngettext(
            "%d person has no other way to log in and will be kept out. Switch it off all the same?",
            "%d people have no other way to log in and will be kept out. Switch it off all the same?",
            people,
        )
        % people
    )


def _stored(request: HttpRequest, form: GroupForm, changes: Mapping[str, str | None]) -> bool:
    try:
        changed = services.set_options(actor_of(request), changes, note="settings")
    except BadOptions as error:
        form.refuse(error)
        return False
    if changed:
        messages.success(request, _("Saved."))
    else:
        messages.info(request, _("Nothing was different, so nothing was changed."))
    return True


def _saved(request: HttpRequest, chosen: Tab, group: Group) -> HttpResponse:
    if not request.htmx:  # type: ignore[attr-defined]
        return go(request, _address(chosen, group))
    options = services.load()
    return _answer(request, chosen, group, GroupForm(group=group, options=options))


def _answer(
    request: HttpRequest,
    chosen: Tab,
    group: Group,
    form: GroupForm,
    *,
    outcome: Outcome | None = None,
    asks: str = "",
    status: int = 200,
) -> HttpResponse:
    """One group alone for htmx, the whole tab with that group as it is now for others."""
    if request.htmx:  # type: ignore[attr-defined]
        shown = _shown(group, form, form.options, last_changes(form.specs), outcome=outcome, asks=asks)
        context = {"tab": chosen, "shown": shown}
        return fragment(request, "console/options/_group.html", context, status=status)
    return _page(request, chosen, form.options, {group.name: (form, outcome, asks)}, status=status)


def _page(
    request: HttpRequest,
    chosen: Tab,
    options: Options,
    forms: Mapping[str, tuple[GroupForm, Outcome | None, str]] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    changes = last_changes([item.key for group in chosen.groups for item in group.items])
    shown = []
    for group in chosen.groups:
        form, outcome, asks = (forms or {}).get(group.name) or (GroupForm(group=group, options=options), None, "")
        shown.append(_shown(group, form, options, changes, outcome=outcome, asks=asks))
    context = {"tab": chosen, "groups": shown, "several_nodes": _several_nodes()}
    return respond(request, "console/options/tab.html", context, status=status)


def _several_nodes() -> bool:
    return not str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")


def _shown(
    group: Group,
    form: GroupForm,
    options: Options,
    changes: Mapping[str, OptionChange],
    *,
    outcome: Outcome | None,
    asks: str,
) -> ShownGroup:
    items = []
    for item in group.items:
        if item.key not in form.specs:
            continue
        spec = SPECS[item.key]
        default = settings.THEME if spec.key == "Theme" else spec.default
        clear = form[CLEAR + spec.key] if CLEAR + spec.key in form.fields else None
        differs = not spec.secret and options.texts[spec.key] != default
        told = "" if spec.secret or spec.kind == "json" else _default(spec.kind, default)
        items.append(ShownItem(item, form[item.key], clear, told, changes.get(item.key), differs))
    back = callback(options, group.callback) if group.callback else ""
    return ShownGroup(group, form, items, callback=back, outcome=outcome, asks=asks)


def _default(kind: str, text: str) -> str:
    if kind == "bool":
        return _("on") if text == "true" else _("off")
    return text if len(text) <= 60 else f"{text[:60]}…"
