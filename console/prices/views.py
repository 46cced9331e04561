"""The table of prices, and every way to change them: each ends in a preview, and the preview's button writes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import actor_of
from accounts.models import Role
from billing import price_editing, price_sources
from billing.default_prices import ModelRatios
from billing.price_editing import BadPrice, Book, PricesChanged, Proposal, is_own
from billing.price_sources import NoPrices
from billing.pricing import readable
from channels_app.served import channels_of_models
from console.guards import page
from console.lists import Column, Listing
from console.prices.forms import LABELS, FactorForm, ImportForm, PriceFilter, PriceForm, SourceForm
from console.prices.rows import ShownRow, by_model, shown_lines
from console.respond import back, go, respond
from options import services as option_services
from options.registry import BadOption
from options.services import BadOptions

FETCH_LIMIT = 20.0  # seconds for a list by its address; somebody waits
SHOWN_LINES = 300  # of a preview
SHOWN_MODELS = 300  # of a comparison
SHOWN_ENTRIES = 200  # of one save in the history
USUAL = {"prompt", "completion", "cached"}
USUAL_UNIT = 500_000  # points per dollar; with another, dollars here are not those of a provider's list

COLUMNS = (
    Column("model", gettext_lazy("Model"), ("model",), fixed=True),
    Column("source", gettext_lazy("Source"), ("source",)),
    Column("used", gettext_lazy("Channels"), ("used", "model"), number=True),
    Column("ratio", gettext_lazy("Ratio"), ("ratio", "model"), number=True),
    *(
        Column(name, label, (f"by_{name}", "model"), number=True, hidden=name not in USUAL)
        for name, label in LABELS.items()
    ),
)


@page(Role.ROOT)
@require_safe
def price_list(request: HttpRequest) -> HttpResponse:
    options = option_services.load()
    book, used = price_editing.shown_book(options), channels_of_models()
    filters = PriceFilter(request.GET)
    wanted = filters.cleaned_data if filters.is_valid() else {"q": "", "show": ""}
    names = _names(book, used, wanted["show"])
    if words := wanted["q"].casefold():
        names = {name for name in names if words in name.casefold()}
    rows = [ShownRow(book.row(name), used[name]) for name in names]
    listing = Listing(request, "prices", COLUMNS, rows, order="model", filters=filters)
    unpriced = sum(1 for name in used if not book.row(name).known)
    context = {"list": listing, "unpriced": unpriced, "show": wanted["show"], "unit": _unit_note(book)}
    return respond(request, "console/prices/list.html", context, parts={"list": "console/prices/_table.html"})


@page(Role.ROOT)
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """One model (`model` in the address), or a new one."""
    book = _book()
    name = (request.POST.get("model") or request.GET.get("model") or "").strip()
    row = book.row(name) if name and (request.method != "POST" or request.POST.get("known")) else None
    if request.method == "POST" and row is not None and request.POST.get("forget"):
        return _preview(request, book, price_editing.forget(book, [name]), _("price of ours taken out"))
    form = PriceForm(request.POST if request.method == "POST" else None, row=row)
    if request.method == "POST" and form.is_valid():
        try:
            proposal = price_editing.edit(book, form.cleaned_data["model"], form.typed())
        except BadPrice as error:
            form.add_error(error.column, str(error))
        else:
            return _preview(request, book, proposal, _("edited"))
    context = {
        "form": form,
        "row": row,
        "own": row is not None and is_own(row),
        "title": _("Price of %s") % name if row is not None else _("New price"),
        "return_to": back(request, reverse("prices")),
        "unit": _unit_note(book),
    }
    status = 422 if request.method == "POST" else 200
    parts = {"drawer-body": "console/prices/_form.html"}
    return respond(request, "console/prices/form.html", context, parts=parts, status=status)


@page(Role.ROOT)
@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """The chosen models: multiply their prices, or take ours out."""
    book = _book()
    names = request.POST.getlist("models")
    if not names:
        messages.error(request, _("Choose at least one model."))
        return go(request, back(request, reverse("prices")))
    if request.POST.get("action") == "forget":
        return _preview(request, book, price_editing.forget(book, names), _("prices of ours taken out"))
    form = FactorForm(request.POST)
    factor = form.cleaned_data["factor"] if form.is_valid() else Decimal(0)
    try:
        proposal = price_editing.multiply(book, names, factor)
    except BadPrice as error:
        messages.error(request, str(error))
        return go(request, back(request, reverse("prices")))
    return _preview(request, book, proposal, _("times %s") % f"{factor.normalize():f}")


@page(Role.ROOT)
@require_POST
def commit(request: HttpRequest) -> HttpResponse:
    """Write what the preview showed. When prices have changed since, there is a new preview instead."""
    note = request.POST.get("note", "")[:255]
    try:
        proposal = price_editing.read(request.POST.get("proposal", ""))
        count = price_editing.apply(actor_of(request), proposal, digest=request.POST.get("digest", ""), note=note)
    except PricesChanged:
        messages.warning(request, _("Prices have been changed meanwhile. Look at what would change now."))
        return _preview(request, _book(), proposal, note, status=409)
    except (BadOption, BadOptions) as error:
        messages.error(request, _("Nothing was changed: %s") % error)
        return go(request, reverse("prices"))
    messages.success(request, ngettext("%d figure changed.", "%d figures changed.", count) % count)
    return go(request, back(request, reverse("prices")))


@page(Role.ROOT)
@require_http_methods(["GET", "HEAD", "POST"])
def import_(request: HttpRequest) -> HttpResponse:
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        book = _book()
        try:
            proposal = price_editing.read_import(book, form.cleaned_data["text"], replace=form.cleaned_data["replace"])
        except BadOption as error:
            form.add_error("file" if form.cleaned_data.get("file") else "text", str(error))
        else:
            return _preview(request, book, proposal, _("imported"))
    context = {
        "form": form,
        "title": _("Import ratios"),
        "lead": _("Nothing changes before you have seen what would."),
        "verb": _("Preview"),
        "return_to": reverse("prices"),
    }
    return respond(request, "console/prices/upload.html", context, status=422 if request.method == "POST" else 200)


@page(Role.ROOT)
@require_safe
def export(request: HttpRequest) -> HttpResponse:
    """Our own tables as a file, in the form that the import reads."""
    answer = HttpResponse(price_editing.export(_book()), content_type="application/json")
    answer["Content-Disposition"] = 'attachment; filename="one-api-prices.json"'
    return answer


@page(Role.ROOT)
@require_http_methods(["GET", "HEAD", "POST"])
def compare(request: HttpRequest) -> HttpResponse:
    """A list from elsewhere beside ours; each model can be taken by itself."""
    form = SourceForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            sheet = _sheet(form)
        except NoPrices as error:
            form.add_error("file" if form.cleaned_data.get("file") else "address", str(error))
        else:
            context = _differences(_book(), sheet.models, everything=form.cleaned_data["everything"])
            return respond(request, "console/prices/compare.html", context)
    context = {
        "form": form,
        "title": _("Compare with a source"),
        "lead": _("You choose which of its prices to take."),
        "verb": _("Compare"),
        "return_to": reverse("prices"),
    }
    return respond(request, "console/prices/upload.html", context, status=422 if request.method == "POST" else 200)


@page(Role.ROOT)
@require_POST
def accept(request: HttpRequest) -> HttpResponse:
    """The chosen rows of a comparison: each carries the ratios that the source told."""
    book = _book()
    try:
        wanted = dict(_wanted(text) for text in request.POST.getlist("rows"))
    except BadOption as error:
        messages.error(request, _("Nothing was changed: %s") % error)
        return go(request, reverse("prices-compare"))
    if not wanted:
        messages.error(request, _("Choose at least one model."))
        return go(request, reverse("prices-compare"))
    return _preview(request, book, price_editing.entries(book, wanted), _("taken from a source"))


@page(Role.ROOT)
@require_safe
def history(request: HttpRequest) -> HttpResponse:
    saves = price_editing.history()
    return respond(request, "console/prices/history.html", {"saves": saves, "most": SHOWN_ENTRIES})


@page(Role.ROOT)
@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    """Back to before a save (`save`): the preview of it."""
    return _preview(
        request, _book(), price_editing.undo(request.POST.get("save", "").replace("\x00", "")), _("rolled back")
    )


def _book() -> Book:
    return price_editing.book(option_services.load())


def _unit_note(book: Book) -> str:
    if book.per_unit == USUAL_UNIT:
        return ""
    return _("%s points are one dollar here (Points per US dollar), so dollars are not those of a provider's list.") % (
        f"{book.per_unit:f}"
    )


def _names(book: Book, used: Counter[str], show: str) -> set[str]:
    if show == "used":
        return set(used)
    if show == "unpriced":
        return {name for name in used if not book.row(name).known}
    if show == "own":
        return {name for name in book.names() if is_own(book.row(name))}
    return book.names() | set(used)


def _preview(request: HttpRequest, book: Book, proposal: Proposal, note: str, *, status: int = 200) -> HttpResponse:
    """What the proposal would change, models that follow others included, and the button that does it."""
    after = book.changed(proposal)
    changed = price_editing.touched(proposal)
    lines = shown_lines(price_editing.lines(book, after, changed))
    following = shown_lines(price_editing.lines(book, after, set(channels_of_models()) - changed))
    context = {
        "title": _("Preview of the change"),
        "models": by_model(lines[:SHOWN_LINES]),
        "following": by_model(following[:SHOWN_LINES]),
        "more": max(len(lines) - SHOWN_LINES, 0) + max(len(following) - SHOWN_LINES, 0),
        "figures": sum(len(table) for table in proposal.values()),
        "proposal": price_editing.written(proposal),
        "digest": book.digest,
        "note": note,
        "return_to": back(request, reverse("prices")),
    }
    parts = {"drawer-body": "console/prices/_preview.html"}
    return respond(request, "console/prices/preview.html", context, parts=parts, status=status)


def _sheet(form: SourceForm) -> Any:
    if file := form.cleaned_data.get("file"):
        return price_sources.of_bytes(file.read(price_sources.MOST + 1))
    return price_sources.fetched(form.cleaned_data["address"].strip(), limit=FETCH_LIMIT)


def _differences(book: Book, sheet: Mapping[str, ModelRatios], *, everything: bool) -> dict[str, Any]:
    """Models whose prices the source tells otherwise, those with the most channels first."""
    used = channels_of_models()
    wanted = {name: _columns(ratios) for name, ratios in sheet.items() if everything or name in used}
    proposal = price_editing.entries(book, wanted)
    after = book.changed(proposal)
    names = sorted(price_editing.touched(proposal), key=lambda name: (-used[name], name))
    rows = [
        {
            "model": name,
            "used": used[name],
            "source": ShownRow(book.row(name), 0).badge,
            "lines": shown_lines(price_editing.lines(book, after, [name])),
            "value": json.dumps({"model": name, "ratios": {key: f"{value:f}" for key, value in wanted[name].items()}}),
        }
        for name in names[:SHOWN_MODELS]
    ]
    return {
        "rows": [row for row in rows if row["lines"]],
        "compared": len(wanted),
        "more": max(len(names) - SHOWN_MODELS, 0),
        "unit": _unit_note(book),
    }


def _columns(ratios: ModelRatios) -> dict[str, Decimal]:
    completion = {} if ratios.completion is None else {"completion": ratios.completion}
    return {"prompt": ratios.model, **completion, **ratios.parts}


def _wanted(text: str) -> tuple[str, Mapping[str, Decimal]]:
    """One row of a comparison, as the browser sent it back. Raises BadOption."""
    try:
        row = json.loads(text)
        json.dumps(row, ensure_ascii=False).encode()  # half a letter, which JSON can name, stands on no page
        ratios = {str(column): readable(Decimal(ratio)) for column, ratio in row["ratios"].items()}
        name = str(row["model"])
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadOption(type(error).__name__) from None
    if not ratios.keys() <= set(price_editing.COLUMNS):
        raise BadOption(_("%s is no table of prices.") % ", ".join(ratios))
    return name, ratios
