"""Home, sign-in, password, panel."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from accounts.http import SignedInRequest, actor_of, keep_signed_in, sign_in, sign_out
from accounts.models import Role, Token, TokenStatus
from accounts.refusals import BadPassword, Refused, WrongPassword
from accounts.services import authenticate, create_token, update_self
from audit.services import record
from billing.models import Log
from console import throttle
from console.formats import masked
from console.forms import ChangePasswordForm, SignInForm, TokenForm
from options import services as option_services

KEYS_SHOWN = 50
LOG_LINES_SHOWN = 20
STATES = {
    TokenStatus.ENABLED: "on",
    TokenStatus.DISABLED: "off",
    TokenStatus.EXPIRED: "expired",
    TokenStatus.EXHAUSTED: "empty",
}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The operator's own home content: a link, or text shown as text; else a welcome with how to begin."""
    options = option_services.load()
    content = options["HomePageContent"].strip()
    is_link = content.startswith(("https://", "http://")) and len(content.split()) == 1
    context = {
        "notice": options["Notice"].strip(),
        "home_link": content if is_link else "",
        "home_text": "" if is_link else content,
        "top_up_link": web_link(options["TopUpLink"]),
        "base_address": options["ServerAddress"].rstrip("/") or f"{request.scheme}://{request.get_host()}",
        "start_time": settings.START_TIME,
    }
    return render(request, "console/home.html", context)


@never_cache
@sensitive_post_parameters("password")
def login_page(request: HttpRequest) -> HttpResponse:
    """Sign in by name or e-mail address and password. Refused: 422 with the form; tried too often: 429."""
    target = next_address(request)
    if request.method == "GET" and request.user.is_authenticated:
        return redirect(target)
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        try:
            throttle.spend_try(request, request.POST.get("username", ""))
        except throttle.TooManyTriesError:
            return render(request, "429.html", status=429)
        if form.is_valid() and (answer := _sign_in(request, form, target)) is not None:
            return answer
    context = {"form": form, "next": target, "expired": request.GET.get("expired") == "true"}
    return render(request, "console/login.html", context, status=status)


def _sign_in(request: HttpRequest, form: SignInForm, target: str) -> HttpResponse | None:
    """The redirect of a successful sign-in; None with the reason on the form."""
    if not option_services.load()["PasswordLoginEnabled"]:
        form.add_error(None, _("The operator has switched off signing in by password."))
        return None
    try:
        user = authenticate(form.cleaned_data["username"], form.cleaned_data["password"])
    except WrongPassword:
        throttle.count_wrong_password(form.cleaned_data["username"])
        form.add_error(None, _("The name or the password is wrong, or the account is disabled."))
        return None
    sign_in(request, user)
    return redirect("password" if user.must_change_password else target)


def next_address(request: HttpRequest) -> str:
    """Where to go after signing in: a path of this site, else the panel."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if wanted.startswith("/") and safe else reverse("panel")


def web_link(address: str) -> str:
    """An address an operator typed, if a browser may follow it; "" otherwise (`javascript:` and the like)."""
    return address if urlsplit(address).scheme in ("http", "https") else ""


@require_POST
def logout_page(request: HttpRequest) -> HttpResponse:
    sign_out(request)
    messages.success(request, _("You are logged out."))
    return redirect("login")


@never_cache
@sensitive_post_parameters("old_password", "new_password", "repeated")
@login_required
def password_page(request: SignedInRequest) -> HttpResponse:
    """Every other session of this person ends with the change; this one goes on under a new key."""
    form = ChangePasswordForm(request.user, request.POST or None)
    if request.method == "POST":
        try:
            throttle.spend_try(request, request.user.username)
        except throttle.TooManyTriesError:
            return render(request, "429.html", status=429)
        if not form.is_valid() and "old_password" in form.errors:
            throttle.count_wrong_password(request.user.username)
    if request.method == "POST" and form.is_valid():
        changes = {"password": form.cleaned_data["new_password"]}
        try:
            user = update_self(request.user, actor_of(request), changes, session_key=request.session.session_key)
        except BadPassword:
            form.add_error("new_password", _("The password must have 8 to 128 characters."))
        else:
            keep_signed_in(request, user)
            messages.success(request, _("Your password is changed."))
            return redirect("panel")
    status = 422 if request.method == "POST" else 200
    return render(request, "console/password.html", {"form": form}, status=status)


@never_cache
@login_required
@require_safe
def panel(request: SignedInRequest) -> HttpResponse:
    return render(request, "console/panel.html", _panel(request))


@never_cache
@login_required
@require_POST
def add_token(request: SignedInRequest) -> HttpResponse:
    """A new unlimited key, shown at once in the answer, for it cannot be shown by a redirect without being stored."""
    form = TokenForm(request.POST)
    if form.is_valid():
        try:
            token = create_token(user_id=request.user.pk, name=form.cleaned_data["name"], unlimited_quota=True)
        except Refused:
            form.add_error("name", _("This name cannot be used."))
        else:
            record(actor_of(request), "token.create", f"token:{token.pk}")
            return render(request, "console/panel.html", _panel(request, revealed=token))
    return render(request, "console/panel.html", _panel(request, token_form=form), status=422)


@never_cache
@login_required
@require_POST
def reveal_token(request: SignedInRequest, pk: int) -> HttpResponse:
    """One of the person's own keys, in this answer and nowhere else."""
    token = get_object_or_404(Token, pk=pk, user_id=request.user.pk)
    record(actor_of(request), "token.reveal", f"token:{token.pk}")
    return render(request, "console/panel.html", _panel(request, revealed=token))


def _panel(
    request: SignedInRequest, *, revealed: Token | None = None, token_form: TokenForm | None = None
) -> dict[str, Any]:
    user = request.user
    tokens = list(Token.objects.filter(user_id=user.pk).order_by("-pk")[: KEYS_SHOWN + 1])
    for token in tokens:
        token.masked = masked(token.key)  # type: ignore[attr-defined]
        token.state = STATES.get(TokenStatus(token.status), "empty")  # type: ignore[attr-defined]
    return {
        "shown_name": user.display_name or user.username,
        "spendable": max(user.quota - user.held, 0),
        "tokens": tokens[:KEYS_SHOWN],
        "more_tokens": len(tokens) > KEYS_SHOWN,
        "logs": Log.objects.filter(user_id=user.pk).order_by("-pk")[:LOG_LINES_SHOWN],
        "revealed": revealed,
        "token_form": token_form or TokenForm(),
        "top_up_link": web_link(option_services.load()["TopUpLink"]),
        "operator_links": _operator_links() if user.role >= Role.ROOT else [],
    }


def _operator_links() -> list[tuple[str, str]]:
    return [
        (reverse("admin:channels_app_channel_changelist"), _("Channels")),
        (reverse("admin:accounts_user_changelist"), _("Users")),
        (reverse("admin:accounts_token_changelist"), _("All API keys")),
        (reverse("admin:redemptions_redemption_changelist"), _("Redemption codes")),
        (reverse("admin:billing_log_changelist"), _("All logs")),
        (reverse("admin:options_option_changelist"), _("Options")),
        (reverse("admin:audit_auditentry_changelist"), _("Audit")),
    ]
