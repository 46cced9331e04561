from django.db import migrations, models


class Migration(migrations.Migration):
    """Let every node know of the pause an upstream asked one of them for. Old code inserts without the column: 0."""

    dependencies = [
        ("channels_app", "0006_test_runs"),
    ]

    operations = [
        migrations.AddField("channelhealth", "paused_until", models.BigIntegerField(db_default=0)),
    ]
