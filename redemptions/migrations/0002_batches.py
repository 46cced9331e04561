from django.db import migrations, models


class Migration(migrations.Migration):
    """Let codes expire, belong to a batch, and be limited per user within it.

    Old code inserts without the columns: the database fills in a code that never expires, of no batch, unlimited.
    """

    dependencies = [("redemptions", "0001_initial")]

    operations = [
        migrations.AddField("redemption", "expires_at", models.BigIntegerField(default=0, db_default=0)),
        migrations.AddField(
            "redemption",
            "batch",
            models.CharField(blank=True, db_default="", db_index=True, default="", max_length=64),
        ),
        migrations.AddField("redemption", "per_user", models.IntegerField(default=0, db_default=0)),
    ]
