"""How often one address, and one account name, may try to sign in by the form."""

from __future__ import annotations

import time

from django.core.cache import cache
from django.http import HttpRequest

from accounts.http import client_address
from accounts.models import fold
from vault.keys import digest

TRIES = 20  # per window, the contract's critical limit (management-api reference, 1.9)
WINDOW = 20 * 60  # seconds


def allowed(request: HttpRequest) -> bool:
    """Count this try; False once the address or the name has used up its window. A cache that is away lets pass."""
    name = fold(request.POST.get("username", ""))[:254]
    counts = [_count(f"address:{client_address(request)}"), _count(f"name:{name}")]
    return all(count <= TRIES for count in counts)


def _count(who: str) -> int:
    key = "signin:" + digest("throttle", f"{who}:{int(time.time()) // WINDOW}")
    if cache.add(key, 1, WINDOW):
        return 1
    try:
        return cache.incr(key) or 0
    except ValueError:  # it ran out between the two commands
        return 1
