from django.db import migrations, models


class Migration(migrations.Migration):
    """How many channels a run tests at a time. Runs from before, and those old code makes, had ten."""

    dependencies = [
        ("channels_app", "0008_test_every"),
    ]

    operations = [
        migrations.AddField("testrun", "at_once", models.IntegerField(db_default=10, default=10)),
    ]
