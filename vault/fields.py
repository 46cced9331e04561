"""A model field whose column holds ciphertext and whose attribute holds the text."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from vault.keys import decrypt, encrypt


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Text encrypted at rest. Cannot be filtered on; keep a digest beside it where it must be found."""

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None else encrypt(str(value))

    def from_db_value(self, value: str | None, expression: Any, connection: BaseDatabaseWrapper) -> str | None:
        return value if value is None else decrypt(value)
