from django.db import migrations, models


class Migration(migrations.Migration):
    """A schedule of tests for each channel. Old code inserts without the column: the common schedule then holds."""

    dependencies = [
        ("channels_app", "0007_paused_until"),
    ]

    operations = [
        migrations.AddField("channel", "test_every", models.IntegerField(blank=True, null=True)),
    ]
