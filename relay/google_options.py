"""What the operator set for Gemini's protocol, read at the moment of a call: adapters know nothing of Django."""

from __future__ import annotations

from django.conf import settings


def api_version() -> str:
    """GEMINI_VERSION: the version in the address where neither channel nor caller names one ("v1beta")."""
    return str(settings.GEMINI_VERSION)


def safety_threshold() -> str:
    """GEMINI_SAFETY_SETTING: the threshold sent for every category of harm ("BLOCK_NONE"); "" sends none."""
    return str(settings.GEMINI_SAFETY_SETTING)
