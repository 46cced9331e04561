from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

COLUMNS: tuple[tuple[str, Any, dict[str, Any], Any], ...] = (
    ("cached_tokens", models.BigIntegerField, {}, 0),
    ("group", models.CharField, {"blank": True, "max_length": 64}, ""),
    ("ip", models.CharField, {"blank": True, "max_length": 45}, ""),
    ("status", models.IntegerField, {}, 0),
    ("error_code", models.CharField, {"blank": True, "max_length": 64}, ""),
    ("first_token_time", models.BigIntegerField, {}, 0),
    ("upstream_model", models.CharField, {"blank": True, "max_length": 191}, ""),
    ("user_agent", models.CharField, {"blank": True, "max_length": 120}, ""),
)


class AddColumn(migrations.AddField):
    """Without a copy of the table, which Django would make on SQLite for each: a million lines take long to copy."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            field = model._meta.get_field(self.name)
            BaseDatabaseSchemaEditor.add_field(schema_editor, from_state.apps.get_model(app_label, "log"), field)


class Migration(migrations.Migration):
    """Log lines tell who called from where, and how the call ended.

    Old code inserts without the columns: the database fills them in, and a status of 0 tells its lines apart.
    """

    dependencies = [
        ("billing", "0005_price_sheets"),
    ]

    operations = [
        *(
            AddColumn("log", name, kind(default=default, db_default=default, **arguments))
            for name, kind, arguments, default in COLUMNS
        ),
        migrations.AlterField(
            model_name="log",
            name="type",
            field=models.IntegerField(
                choices=[
                    (0, "unknown"),
                    (1, "top-up"),
                    (2, "consumption"),
                    (3, "management"),
                    (4, "system"),
                    (5, "test"),
                    (6, "error"),
                ],
                default=0,
            ),
        ),
    ]
