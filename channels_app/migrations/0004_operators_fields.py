from django.db import migrations, models


class Migration(migrations.Migration):
    """What operators say about a channel, and how its last test went beside how long it took.

    Old code inserts without these columns: the database fills them in.
    """

    dependencies = [("channels_app", "0003_stored_responses")]

    operations = [
        migrations.AddField("channel", "tags", models.CharField(blank=True, db_default="", default="", max_length=500)),
        migrations.AddField(
            "channel", "test_model", models.CharField(blank=True, db_default="", default="", max_length=191)
        ),
        migrations.AddField("channel", "auto_disable", models.BooleanField(db_default=True, default=True)),
        migrations.AddField("channel", "notes", models.TextField(blank=True, db_default="", default="")),
        migrations.AddField("channel", "disabled_until", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField(
            "channel",
            "test_outcome",
            models.IntegerField(
                choices=[(0, "not tested"), (1, "passed"), (2, "failed"), (3, "passed, too slow")],
                db_default=0,
                default=0,
            ),
        ),
        migrations.AddField("channel", "test_milliseconds", models.BigIntegerField(db_default=0, default=0)),
    ]
