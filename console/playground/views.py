"""The playground: questions to models, billed to one of the person's own keys.

With a script the browser posts a chat completion to `call` and gets the relay's own answer, streamed; without one, a
form asks one question and its answer stands on the page.
"""

from __future__ import annotations

import json
import time
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import Role, Token, TokenStatus, User
from billing.models import Log, LogType
from channels_app import offers
from console import formats
from console.guards import page
from console.http import signed_in
from console.models.kinds import CHAT, kind_of
from console.playground.forms import AskForm
from console.relayed import Answer, Call, NoDoor, door_of
from console.site import base_address
from options import services as option_services

PATH = "/v1/chat/completions"
KEYS = 200  # of one person that are offered
CODE_KINDS = (("curl", "curl"), ("python", "Python"), ("javascript", "JavaScript"))
RECENT = 3600  # seconds back within which the bill of a call is looked for


class BadAsking(Exception):
    """The browser's request cannot be passed on; the message tells the person why."""


@page()
@require_http_methods(["GET", "HEAD", "POST"])
def playground(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    models, keys = _models(user), _keys(user)
    wanted = request.GET.get("model", "")
    initial = {"model": wanted if wanted in models else "", "key": keys[0].pk if keys else None}
    form = AskForm(request.POST or None, initial=initial, models=models, keys=keys, admin=user.role >= Role.ADMIN)
    context: dict[str, Any] = {
        "form": form,
        "models": models,
        "keys": keys,
        "code_kinds": CODE_KINDS,
        "base_address": base_address(request, option_services.load()),
    }
    if request.method == "POST":
        if not form.is_valid():
            return render(request, "console/playground/playground.html", context, status=422)
        data = form.cleaned_data
        body = json.dumps(form.request()).encode()
        key = _key_text(user, data["key"], data.get("channel"))
        began = time.monotonic()
        try:
            answer = door_of(request).ask(Call(PATH, key, body))
        except NoDoor:
            form.add_error(None, _("This server cannot call models from a page."))
        else:
            context["answer"] = _shown(user, answer, round((time.monotonic() - began) * 1000))
    return render(request, "console/playground/playground.html", context)


@page()
@require_POST
def call(request: HttpRequest) -> HttpResponse:
    """JSON `{"key": id, "channel": id or null, "request": a chat completion}`; the answer is the relay's own."""
    user = signed_in(request)
    try:
        asked = _asked(user, request.body)
        door_of(request).hand_over(asked)
    except BadAsking as problem:
        return JsonResponse({"error": {"message": str(problem)}}, status=400)
    except NoDoor:
        return JsonResponse({"error": {"message": _("This server cannot call models from a page.")}}, status=501)
    return HttpResponse(status=204)


@page()
@require_safe
def bill(request: HttpRequest) -> HttpResponse:
    """What a call of the person's own cost, by the id its answer named (`request`). 404: it is not in the log."""
    found = _logged(signed_in(request), request.GET.get("request", "").replace("\x00", ""))
    if found is None:
        return JsonResponse({}, status=404)
    return JsonResponse(_bill(found))


def _asked(user: User, body: bytes) -> Call:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        raise BadAsking(_("The browser sent no JSON.")) from None
    wanted = read.get("request") if isinstance(read, dict) else None
    if not isinstance(wanted, dict):
        raise BadAsking(_("The browser sent no request."))
    key_id, channel = read.get("key"), read.get("channel")
    token = _usable(user).filter(pk=key_id).first() if type(key_id) is int else None
    if token is None:
        raise BadAsking(_("This key is not one of yours, or it is switched off."))
    if channel is not None and (user.role < Role.ADMIN or type(channel) is not int or channel < 1):
        raise BadAsking(_("Only administrators may choose a channel, by its id."))
    return Call(PATH, _key_text(user, token, channel), json.dumps(wanted).encode())


def _key_text(user: User, token: Token, channel: int | None) -> str:
    return f"sk-{token.key}-{channel}" if channel and user.role >= Role.ADMIN else f"sk-{token.key}"


def _models(user: User) -> list[str]:
    """Those that chat first, by name."""
    names = [offer.model for offer in offers.current(user.group)]
    return sorted(names, key=lambda name: (kind_of(name) != CHAT, name))


def _keys(user: User) -> list[Token]:
    """Those to choose from: the newest ones, where there are very many."""
    return list(_usable(user)[:KEYS])


def _usable(user: User) -> QuerySet[Token]:
    return user.tokens.filter(status=TokenStatus.ENABLED).order_by("-unlimited_quota", "-pk")


def _logged(user: User, request_id: str) -> Log | None:
    if not request_id:
        return None
    since = int(time.time()) - RECENT
    rows = Log.objects.filter(user_id=user.pk, request_id=request_id, created_at__gte=since, type=LogType.CONSUME)
    return rows.order_by("-pk").first()


def _bill(row: Log) -> dict[str, Any]:
    options = option_services.load()
    return {
        "points": row.quota,
        "cost": formats.cost(row.quota, options),
        "prompt": row.prompt_tokens,
        "completion": row.completion_tokens,
        "milliseconds": row.elapsed_time,
    }


def _shown(user: User, answer: Answer, milliseconds: int) -> dict[str, Any]:
    """An answer for the page: `text`, `calls` (name, arguments), or `error`; `bill` where the log has it."""
    request_id = answer.headers.get("x-oneapi-request-id", "")
    shown: dict[str, Any] = {"milliseconds": milliseconds, "request_id": request_id}
    try:
        read = json.loads(answer.body)
    except ValueError:
        return {**shown, "error": _("The answer is no JSON.")}
    if answer.status != 200:
        error = read.get("error") if isinstance(read, dict) else None
        message = error.get("message") if isinstance(error, dict) else None
        return {**shown, "error": message or _("The call failed with status %(code)s.") % {"code": answer.status}}
    choices = read.get("choices") or [{}]
    message = choices[0].get("message") or {}
    functions = [one.get("function") or {} for one in message.get("tool_calls") or []]
    row = _logged(user, request_id)
    return {
        **shown,
        "text": message.get("content") or "",
        "thinking": message.get("reasoning_content") or "",
        "calls": [(one.get("name", ""), one.get("arguments", "")) for one in functions],
        "bill": _bill(row) if row is not None else None,
    }
