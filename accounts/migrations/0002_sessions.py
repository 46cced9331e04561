from __future__ import annotations

from django.contrib.sessions.backends.db import SessionStore
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.utils import timezone

import accounts.models

BATCH = 500


def note_live_sessions(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Whose a session is stands inside its signed data; one that cannot be read lets nobody in."""
    alias = schema_editor.connection.alias
    UserSession = apps.get_model("accounts", "UserSession")
    live = apps.get_model("sessions", "Session").objects.using(alias).filter(expire_date__gt=timezone.now())
    rows = []
    store = SessionStore()
    for key, data in live.order_by("pk").values_list("session_key", "session_data").iterator(BATCH):
        user_id = store.decode(data).get("_auth_user_id")
        if user_id is not None:
            rows.append(UserSession(session_key=key, user_id=int(user_id), created_at=0, seen_at=0))
    UserSession.objects.using(alias).bulk_create(rows, batch_size=BATCH)


class Migration(migrations.Migration):
    """Whose each session is, so that sessions can be listed and ended without reading them all.

    An older version running beside makes sessions without a row; they get one when this version first sees them.
    """

    dependencies = [("accounts", "0001_initial"), ("sessions", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="UserSession",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("session_key", models.CharField(editable=False, max_length=40, unique=True)),
                ("user_id", models.BigIntegerField(db_index=True)),
                ("created_at", models.BigIntegerField(default=accounts.models.now)),
                ("seen_at", models.BigIntegerField(default=accounts.models.now)),
                ("address", models.CharField(blank=True, default="", max_length=45)),
                ("user_agent", models.CharField(blank=True, default="", max_length=255)),
                ("method", models.CharField(blank=True, default="", max_length=32)),
            ],
            options={"verbose_name": "sign-in", "verbose_name_plural": "sign-ins", "db_table": "user_sessions"},
        ),
        migrations.AddField(
            model_name="user",
            name="last_active",
            field=models.BigIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.RunPython(note_live_sessions, migrations.RunPython.noop),
    ]
