"""Where this gateway is, as its users reach it."""

from __future__ import annotations

from django.http import HttpRequest

from options.registry import Options


def base_address(request: HttpRequest, options: Options) -> str:
    """Option ServerAddress, else the address this request came to; without a slash at its end (defect D38)."""
    set_by_operator: str = options["ServerAddress"].rstrip("/")
    return set_by_operator or f"{request.scheme}://{request.get_host()}"
