"""Many codes at once: those chosen, all that the filters find, or all that are used or expired."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http import actor_of
from accounts.models import Role
from console.codes.forms import STATES, CodesFilter
from console.guards import page
from console.respond import back, go, respond
from redemptions.listing import MOST, BulkAction, State, act_on_many, concerned, in_state
from redemptions.models import Redemption

VERBS = {
    BulkAction.ENABLE: gettext_lazy("Enable"),
    BulkAction.DISABLE: gettext_lazy("Disable"),
    BulkAction.DELETE: gettext_lazy("Delete codes"),
}
CONSEQUENCES = {
    BulkAction.ENABLE: gettext_lazy("Codes that are disabled can be redeemed again."),
    BulkAction.DISABLE: gettext_lazy("Unused codes are refused until they are enabled again."),
    BulkAction.DELETE: gettext_lazy("Unused codes cannot be redeemed any more. This cannot be undone."),
}
CLEARABLE = (State.USED, State.EXPIRED)


@page(Role.ADMIN)
@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """`action`; `ids` of the chosen, or `all` and the list's `query`. With `confirmed` it is done, to `planned`."""
    wanted = request.POST.get("action", "")
    if wanted not in set(BulkAction):
        messages.error(request, _("Choose what to do."))
        return go(request, back(request, reverse("codes")))
    action = BulkAction(wanted)
    if "confirmed" in request.POST:
        return _done(request, act_on_many(actor_of(request), action, _numbers(request.POST.get("planned", ""))))
    if "all" in request.POST:
        rows = CodesFilter(QueryDict(request.POST.get("query", ""))).found()
    else:
        rows = Redemption.objects.filter(pk__in=_numbers(",".join(request.POST.getlist("ids"))))
    ids = concerned(action, rows)
    if not ids:
        messages.error(request, _("None of the chosen codes would change."))
        return go(request, back(request, reverse("codes")))
    context = {
        "question": ngettext("%(verb)s: %(count)d code", "%(verb)s: %(count)d codes", len(ids))
        % {"verb": VERBS[action], "count": len(ids)},
        "consequence": CONSEQUENCES[action],
        "verb": VERBS[action],
        "harmless": action is not BulkAction.DELETE,
        "action": reverse("codes-bulk"),
        "extra": "console/codes/_planned.html",
        "bulk_action": action,
        "planned": ",".join(str(number) for number in ids),
        "return_to": back(request, reverse("codes")),
    }
    return respond(request, "console/confirm.html", context, parts={"dialog-body": "console/parts/confirm.html"})


@page(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def clear(request: HttpRequest, state: str) -> HttpResponse:
    """Delete all codes that are used, or expired."""
    if state not in CLEARABLE:
        raise Http404
    ids = concerned(BulkAction.DELETE, Redemption.objects.filter(in_state(State(state))))
    if request.method == "POST":
        return _done(request, act_on_many(actor_of(request), BulkAction.DELETE, ids))
    count = len(ids)
    context = {
        "question": ngettext(
            "Delete %(count)d code that is %(state)s?", "Delete %(count)d codes that are %(state)s?", count
        )
        % {"count": count, "state": STATES[State(state)]},
        "consequence": " ".join(
            (
                _("Balances stay as they are. Who redeemed which code is told by the ledger alone then."),
                _("Deleted codes no longer count towards what one user may redeem of a batch."),
            )
        )
        if state == State.USED
        else _("They are refused already. This cannot be undone."),
        "verb": VERBS[BulkAction.DELETE],
        "action": reverse("codes-clear", args=[state]),
        "return_to": back(request, reverse("codes")),
    }
    return respond(request, "console/confirm.html", context, parts={"dialog-body": "console/parts/confirm.html"})


def _done(request: HttpRequest, count: int) -> HttpResponse:
    messages.success(request, ngettext("Done for %d code.", "Done for %d codes.", count) % count)
    return go(request, back(request, reverse("codes")))


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.isdecimal() and len(part) < 19][:MOST]
