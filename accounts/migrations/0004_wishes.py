from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """What a person wants of the console, in any browser, and when to be told of a low balance.

    Old code inserts users without the column, which may be null.
    """

    dependencies = [("accounts", "0003_credentials")]

    operations = [
        migrations.AddField("user", "remind_below", models.BigIntegerField(blank=True, editable=False, null=True)),
        migrations.CreateModel(
            name="Wishes",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("texts", models.JSONField(default=dict)),
            ],
            options={"verbose_name": "wishes", "verbose_name_plural": "wishes", "db_table": "user_wishes"},
        ),
    ]
