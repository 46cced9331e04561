"""What every template may use: the operator's options, and facts about this deployment."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from console.policy import allow_images_of
from options import services
from options.registry import Options

PROJECT = "https://github.com/songquanpeng/one-api"  # credited in the default footer


def site(request: HttpRequest) -> dict[str, Any]:
    """`options` (one query, only if a template asks), `system_name`, `logo`, `footer`, `version`."""

    def load() -> Options:
        loaded = services.load()
        allow_images_of(request, loaded["Logo"])
        return loaded

    options = SimpleLazyObject(load)
    return {
        "options": options,
        "system_name": SimpleLazyObject(lambda: options["SystemName"] or "One API"),
        "logo": SimpleLazyObject(lambda: options["Logo"]),
        "footer": SimpleLazyObject(lambda: options["Footer"]),
        "version": settings.VERSION,
        "project": PROJECT,
    }
