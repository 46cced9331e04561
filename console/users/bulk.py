"""One act on the chosen people, or on all that the filters find: a preview first, then the act on exactly those."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.http import actor_of
from accounts.many import MOST, BulkAction, Plan, act_on_many, plan
from accounts.models import Role
from accounts.refusals import Refused
from billing.services import QuotaOutOfRange
from console.guards import page
from console.http import signed_in
from console.once import OnceForm
from console.respond import back, go, respond
from console.users.forms import BulkGroupForm, BulkPlainForm, BulkQuotaForm, UsersFilter
from console.users.words import words
from options import services as option_services
from options.registry import Options

FORMS: dict[BulkAction, type[OnceForm]] = {BulkAction.GROUP: BulkGroupForm, BulkAction.QUOTA: BulkQuotaForm}
VERBS = {
    BulkAction.ENABLE: gettext_lazy("Enable"),
    BulkAction.DISABLE: gettext_lazy("Disable"),
    BulkAction.GROUP: gettext_lazy("Set group"),
    BulkAction.QUOTA: gettext_lazy("Add to balances"),
    BulkAction.DELETE: gettext_lazy("Delete accounts"),
}
CONSEQUENCES = {
    BulkAction.ENABLE: gettext_lazy("They may sign in and call again."),
    BulkAction.DISABLE: gettext_lazy("Their sessions and keys are refused until they are enabled again."),
    BulkAction.GROUP: gettext_lazy("Their calls are priced and routed by the new group from now on."),
    BulkAction.QUOTA: gettext_lazy("Each gets the same amount, with an entry in the ledger."),
    BulkAction.DELETE: gettext_lazy(
        "Names, addresses and bound accounts are wiped, API keys are deleted; logs and ledger stay. "
        "This cannot be undone."
    ),
}
NAMED = 20  # people that the preview names


@page(Role.ADMIN)
@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """`action`; `ids` of the chosen, or `all` and the list's `query`. With `confirmed` it is done, to `planned`."""
    by, options = signed_in(request), option_services.load()
    wanted = request.POST.get("action", "")
    if wanted not in set(BulkAction):
        messages.error(request, _("Choose what to do."))
        return go(request, back(request, reverse("users")))
    action = BulkAction(wanted)
    confirmed = "confirmed" in request.POST
    planned = plan(by, action, _numbers(request.POST.get("planned", "")) if confirmed else _chosen(request, options))
    if not planned.targets and not planned.refused:
        messages.error(request, _("Choose at least one user."))
        return go(request, back(request, reverse("users")))
    form = FORMS.get(action, BulkPlainForm)(request.POST if confirmed else None, options=options)
    if confirmed and form.is_valid():
        try:
            done = _act(request, action, planned, form)
        except (Refused, QuotaOutOfRange) as refusal:
            form.add_error(None, _("Nothing was changed. %(why)s") % {"why": words(refusal)})
        else:
            messages.success(request, ngettext("Done for %d user.", "Done for %d users.", done) % done)
            return go(request, back(request, reverse("users")))
    context = _context(request, action, planned, form)
    parts = {"dialog-body": "console/users/_bulk.html"}
    return respond(request, "console/users/bulk.html", context, parts=parts, status=422 if confirmed else 200)


def _act(request: HttpRequest, action: BulkAction, planned: Plan, form: OnceForm) -> int:
    typed = form.cleaned_data
    return act_on_many(
        signed_in(request),
        actor_of(request),
        action,
        planned.ids,
        group=typed.get("group", ""),
        amount=typed.get("amount") or 0,
        reason=typed.get("reason", ""),
        once=typed["once"],
    )


def _context(request: HttpRequest, action: BulkAction, planned: Plan, form: OnceForm) -> dict[str, Any]:
    count = len(planned.targets)
    return {
        "form": form,
        "question": ngettext("%(verb)s: %(count)d user", "%(verb)s: %(count)d users", count)
        % {"verb": VERBS[action], "count": count},
        "consequence": CONSEQUENCES[action],
        "verb": VERBS[action],
        "danger": action is BulkAction.DELETE,
        "bulk_action": action,
        "planned": ",".join(str(number) for number in planned.ids),
        "named": [user.username for user in planned.targets[:NAMED]],
        "further": max(count - NAMED, 0),
        "refused": [(user.username, words(why)) for user, why in planned.refused[:NAMED]],
        "refused_count": len(planned.refused),
        "most": MOST,
        "full": count + len(planned.refused) >= MOST,
        "return_to": back(request, reverse("users")),
    }


def _chosen(request: HttpRequest, options: Options) -> list[int]:
    if "all" in request.POST:
        filters = UsersFilter(QueryDict(request.POST.get("query", "")), options=options)
        if not filters.is_valid():  # a group that has lost its factor, say: everybody is not who was seen
            return []
        return list(filters.wanted().rows().order_by("-pk").values_list("pk", flat=True)[:MOST])
    return _numbers(",".join(request.POST.getlist("ids")))


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.isdecimal() and len(part) < 19][:MOST]
