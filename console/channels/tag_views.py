"""The list of channels with one row for each tag, and what can be done with the channels of one tag.

Changes go the way of a selection: the forms post to `bulk_views.many` with the row's query, so they are shown first,
and made in one transaction with one entry in the audit.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.models import Role
from channels_app import listing, runs, tags
from channels_app.bulk import Action
from channels_app.listing import NO_TAG
from console.channels.forms import ACTIONS, ChannelFilter
from console.channels.tag_rows import tag_rows
from console.guards import page
from console.lists import Column, Listing
from console.respond import back, respond

BY, TAG = "by", "tag"  # ?by=tag; the name "group" is that of a filter
COLUMNS = (
    Column("tag", gettext_lazy("Tag"), ("place",), fixed=True),
    Column("channels", gettext_lazy("Channels"), ("channels",), number=True),
    Column("status", gettext_lazy("Status")),
    Column("models", gettext_lazy("Models"), ("models_count",), number=True),
    Column("health", gettext_lazy("Health")),
    Column("balance", gettext_lazy("Balance"), number=True),
    Column("used", gettext_lazy("Used"), ("used_quota",), number=True),
)
OF_TAGS = frozenset({Action.RENAME_TAG.value})  # has a form of its own


def by_tag(request: HttpRequest) -> HttpResponse:
    """/channel?by=tag, for `views.channel_list`, which says who may see it."""
    form = ChannelFilter(request.GET, offered=listing.facets(), auto_id="filter_%s")
    filters = form.filters()
    rows = tag_rows(tags.together(filters), filters)
    shown = Listing(request, "channel_tags", COLUMNS, rows, order="tag", filters=form, keeps=(BY,))
    context = {"list": shown, "rows": shown.rows, "by_tag": True, "run": runs.current()}
    return respond(request, "console/channels/list.html", context, parts={"list": "console/channels/_tags.html"})


@page(Role.ADMIN)
@require_safe
def tag_page(request: HttpRequest) -> HttpResponse:
    """What can be done with the channels of `tag` that match the other filters: any change to many, and a new name."""
    filters = listing.read(request.GET)
    count = listing.matching(filters).count() if filters.tag else 0
    if not count:
        raise Http404
    context = {
        "tag": "" if filters.tag == NO_TAG else filters.tag,
        "name": _("without a tag") if filters.tag == NO_TAG else filters.tag,
        "count": count,
        "query": urlencode(filters.query()),
        "actions": [(value, label) for value, label in ACTIONS if value not in OF_TAGS],
        "return_to": back(request, reverse("channels")),
    }
    parts = {"dialog-body": "console/channels/_tag.html"}
    return respond(request, "console/channels/tag.html", context, parts=parts)
