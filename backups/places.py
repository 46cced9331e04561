"""Which files hold this deployment's databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings


def files() -> dict[str, Path]:
    """Databases in files, by alias."""
    return {alias: Path(entry["NAME"]) for alias, entry in settings.DATABASES.items() if _is_file(entry)}


def elsewhere() -> dict[str, dict[str, Any]]:
    """The entries of DATABASES that have a server of their own, by alias."""
    return {alias: entry for alias, entry in settings.DATABASES.items() if not _is_file(entry)}


def _is_file(entry: dict[str, Any]) -> bool:
    return str(entry["ENGINE"]).endswith("sqlite3")
