"""Passkeys (WebAuthn, https://www.w3.org/TR/webauthn-3/). Every one of ours is discoverable and verifies its holder.

So one serves both ways: instead of name and password, and as the second step after a password. What a browser is
given is JSON; what it brings back is checked against the challenge that this session was given for this very purpose.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import WebAuthn
from django.db import transaction
from django.http import HttpRequest
from fido2.server import Fido2Server
from fido2.utils import websafe_decode
from fido2.webauthn import (
    AttestedCredentialData,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from accounts.factors.services import first_codes
from accounts.models import User, UserStatus
from accounts.names import clean_text
from accounts.refusals import BadField, FactorExists, WrongSecondFactor
from audit.services import Actor, record
from options import services as option_services
from options.registry import Options

STATES = "passkey_states"  # session key
LIFETIME = 600  # seconds
MOST = 20  # passkeys of one account
NAME_LENGTH = 64  # characters
LONGEST = 64 * 1024  # characters of a browser's answer
# What fido2 raises at answers that no browser gives, beside what it refuses: CBOR that is cut off or thousands deep, a
# new key without a key, a kind of key that it cannot check.
NONSENSE = (
    *(ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(RecursionError, NotImplementedError),
)


class Purpose(StrEnum):
    REGISTER = "register"
    SIGN_IN = "sign_in"  # nobody is known yet; the key says who it is
    SECOND_STEP = "second_step"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Site:
    """The origin keys are bound to, and its host (the RP id)."""

    origin: str
    host: str
    name: str


def site(request: HttpRequest, options: Options) -> Site:
    """ServerAddress where it is set, else the address this request came to."""
    parts = urlsplit(options["ServerAddress"] or f"{request.scheme}://{request.get_host()}")
    host = parts.hostname or ""
    standard = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, standard) else f":{parts.port}"
    return Site(f"{parts.scheme}://{host}{port}", host, options["SystemName"] or "One API")


def _server(at: Site) -> Fido2Server:
    return Fido2Server(
        PublicKeyCredentialRpEntity(id=at.host, name=at.name), verify_origin=lambda origin: origin == at.origin
    )


def begin_registration(request: HttpRequest, user: User) -> dict[str, Any]:
    """What `navigator.credentials.create` is called with."""
    at = site(request, option_services.load())
    given, state = _server(at).register_begin(
        PublicKeyCredentialUserEntity(
            id=str(user.pk).encode(), name=user.username, display_name=user.display_name or user.username
        ),
        credentials=_credentials(user.pk),
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    _keep(request, Purpose.REGISTER, state, user.pk)
    return _plain(given)


def register(request: HttpRequest, user: User, actor: Actor, name: str, answer: str) -> list[str]:
    """Take the new key as a factor. Returns new recovery codes, [] where there are some.

    Raises WrongSecondFactor, FactorExists for one too many, BadField for a name that cannot be stored.
    """
    name = clean_text(name.strip(), "name", NAME_LENGTH)
    if not name:
        raise BadField("输入不合法 name")
    credential, at = _read(answer), site(request, option_services.load())
    state = _take(request, Purpose.REGISTER, user.pk)
    try:
        _server(at).register_complete(state, credential)
    except NONSENSE:
        raise WrongSecondFactor from None
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if len(_credentials(user.pk)) >= MOST:
            raise FactorExists
        WebAuthn.add(user, name, credential)
        record(actor, "user.factor.add", f"user:{user.pk}", kind="webauthn")
        return first_codes(user)


def begin(request: HttpRequest, purpose: Purpose, user: User | None = None) -> dict[str, Any]:
    """What `navigator.credentials.get` is called with. Without `user` the browser offers the keys it has for us."""
    at = site(request, option_services.load())
    given, state = _server(at).authenticate_begin(
        credentials=_credentials(user.pk) if user is not None else None,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    _keep(request, purpose, state, user.pk if user is not None else 0)
    return _plain(given)


def check(request: HttpRequest, purpose: Purpose, answer: str, user: User | None = None) -> User:
    """The enabled account whose key has answered; `user`, where given, must be that one. Raises WrongSecondFactor."""
    response, at = _read(answer), site(request, option_services.load())
    state = _take(request, purpose, user.pk if user is not None else 0)
    owner = user or _owner(response)
    rows = list(Authenticator.objects.filter(user_id=owner.pk, type=Authenticator.Type.WEBAUTHN))
    try:
        used = _server(at).authenticate_complete(state, [_data(row) for row in rows], response)
    except NONSENSE:
        raise WrongSecondFactor from None
    for row in rows:
        if _data(row).credential_id == used.credential_id:
            row.record_usage()
    return owner


def _owner(response: dict[str, Any]) -> User:
    """Whom the key names. That it may do so, its signature shows."""
    try:
        handle = websafe_decode(response["response"]["userHandle"]).decode("ascii")
        number = int(handle)
    except (ValueError, TypeError, KeyError):
        raise WrongSecondFactor from None
    user = User.objects.filter(pk=number, status=UserStatus.ENABLED).first() if 0 < number < 2**63 else None
    if user is None:
        raise WrongSecondFactor
    return user


def _credentials(user_id: int) -> list[AttestedCredentialData]:
    rows = Authenticator.objects.filter(user_id=user_id, type=Authenticator.Type.WEBAUTHN)
    return [_data(row) for row in rows]


def _data(row: Authenticator) -> AttestedCredentialData:
    data: AttestedCredentialData = row.wrap().authenticator_data.credential_data
    return data


def _read(answer: str) -> dict[str, Any]:
    if len(answer) > LONGEST:
        raise WrongSecondFactor
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        raise WrongSecondFactor from None
    if not isinstance(value, dict):
        raise WrongSecondFactor
    return value


def _plain(given: Any) -> dict[str, Any]:
    """Challenges and ids as base64url text, the form that PublicKeyCredential.parse…FromJSON reads."""
    return dict(given)["publicKey"]  # type: ignore[no-any-return]


def _keep(request: HttpRequest, purpose: Purpose, state: Any, user_id: int) -> None:
    states = dict(request.session.get(STATES) or {})
    verification = str(state["user_verification"].value)
    states[purpose.value] = {
        "challenge": state["challenge"],
        "user_verification": verification,
        "user": user_id,
        "until": int(time.time()) + LIFETIME,
    }
    request.session[STATES] = states


def _take(request: HttpRequest, purpose: Purpose, user_id: int) -> dict[str, Any]:
    """The challenge of this purpose and person, good once. Raises WrongSecondFactor."""
    states = dict(request.session.get(STATES) or {})
    state = states.pop(purpose.value, None)
    request.session[STATES] = states
    if state is None or state["user"] != user_id or state["until"] < time.time():
        raise WrongSecondFactor
    return {
        "challenge": state["challenge"],
        "user_verification": UserVerificationRequirement(state["user_verification"]),
    }
