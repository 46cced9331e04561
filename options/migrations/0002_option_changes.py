"""Keep what was changed of options, whole enough to undo it: the audit cuts long values, and may be purged.

Nothing is filled in: what was changed before this is in the audit alone. Old code goes on beside it and writes no rows.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("options", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="OptionChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("save_id", models.CharField(db_index=True, max_length=16)),
                ("key", models.CharField(max_length=64)),
                ("created_at", models.BigIntegerField()),
                ("actor_id", models.BigIntegerField(default=0)),
                ("actor_name", models.CharField(blank=True, default="", max_length=64)),
                ("note", models.CharField(blank=True, default="", max_length=255)),
                ("before", models.TextField(blank=True, null=True)),
                ("after", models.TextField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "change of an option",
                "verbose_name_plural": "changes of options",
                "db_table": "option_changes",
                "indexes": [models.Index(fields=["key", "id"], name="option_change_key")],
            },
        )
    ]
