"""Who was sent out to a provider: states in the session, each good once (remedy S12).

A state says for which provider it is, where whoever asked for it said so. The front ends of the reference ask before
they know, so theirs is good for the first provider it comes back from, and for that one only. It is stored as a
digest, for ten minutes; a person may have a few under way, in several tabs.

Reading and removing happen on the stored row under its lock: of two requests that bring the same state, one gets past.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from allauth.socialaccount.providers.oauth2.utils import generate_code_challenge
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.tokens import LETTERS
from vault.keys import digest

KEY = "oauth_states"
LENGTH = 12  # letters and digits, by the contract
LIFETIME = 600  # seconds
MOST = 5  # under way in one session; older ones are forgotten


class WrongState(ValueError):
    """None was given, or it was not handed to this session for this provider, is used, or too old."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a browser takes along. `nonce` and `challenge` (PKCE, S256) are "" unless our own server sends it out."""

    state: str
    nonce: str = ""
    challenge: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """What was kept at the start, to be checked at the return. `purpose` and `target` are the console's."""

    verifier: str = ""
    nonce: str = ""
    purpose: str = ""
    target: str = ""


def begin(
    session: SessionBase, provider: str = "", *, ours: bool = False, purpose: str = "", target: str = ""
) -> Start:
    """A new state. `ours`: our own server sends the browser out, so that nonce and PKCE can travel with it.

    `purpose` and `target` (a path of this site) come back with it.

    Raises WrongState where the session is ended at the same moment.
    """
    state = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
    entry = {"state": _digest(state), "provider": provider, "until": int(time.time()) + LIFETIME}
    nonce = challenge = ""
    if ours:
        drawn = generate_code_challenge()
        challenge = drawn["code_challenge"].decode("ascii")
        nonce = secrets.token_urlsafe(24)
        entry |= {"verifier": drawn["code_verifier"], "nonce": nonce, "purpose": purpose, "target": target}
    session.get(KEY)  # reads it, and forgets a key that is nobody's
    if not session.session_key:
        session.create()
    with _stored(session) as entries:
        entries.append(entry)
        del entries[:-MOST]
    return Start(state, nonce, challenge)


def spend(session: SessionBase, provider: str, state: str) -> Expected:
    """Use the state up, whether it is for this provider or not. Raises WrongState."""
    if not state or not session.session_key:
        raise WrongState
    wanted = _digest(state)
    found = None
    with _stored(session) as entries:
        for entry in list(entries):
            if constant_time_compare(entry["state"], wanted):
                found = entry
                entries.remove(entry)
    if found is None or found["until"] < time.time() or found["provider"] not in ("", provider):
        raise WrongState
    return Expected(**{name: found.get(name, "") for name in ("verifier", "nonce", "purpose", "target")})


@contextmanager
def _stored(session: SessionBase) -> Iterator[list[dict[str, Any]]]:
    """The entries as they are in the database now; what is done to them is written before the lock goes.

    The request's own copy follows, but is not marked as changed: it would be written once more when the request
    ends, over what another has done meanwhile. Raises WrongState where the session is gone.
    """
    with transaction.atomic():
        if not _lock(session.session_key):
            raise WrongState
        stored = type(session)(session.session_key)
        entries: list[dict[str, Any]] = list(stored.get(KEY) or [])
        yield entries
        stored[KEY] = entries
        stored.save()
    changed = session.modified
    session[KEY] = entries
    session.modified = changed


def _lock(key: str | None) -> bool:
    """Whether there is such a session; if so, nobody else reads it for writing before this transaction ends."""
    live = Session.objects.select_for_update().filter(pk=key or "", expire_date__gt=timezone.now())
    return live.first() is not None


def _digest(state: str) -> str:
    return digest("oauth-state", state)
