from __future__ import annotations

from django.db import migrations, models


def number() -> models.BigIntegerField[int, int]:
    return models.BigIntegerField(db_default=0, default=0, editable=False)


class Migration(migrations.Migration):
    """When the management token was made and last used, and the newest code of an app that was taken.

    Old code inserts without the columns: the database fills them in.
    """

    dependencies = [("accounts", "0002_sessions")]

    operations = [
        migrations.AddField("user", "access_token_created", number()),
        migrations.AddField("user", "access_token_used", number()),
        migrations.AddField("user", "totp_counter", number()),
    ]
