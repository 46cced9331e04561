from django.db import migrations, models


class Migration(migrations.Migration):
    """A keyed digest beside each key, so that a key can be found.

    Not filled in here: keys are sealed under the deployment's secret, which a migration may run without. Saving a
    channel fills it in, and for the rows that are there already an hourly job does (channels_app.key_digests).
    """

    dependencies = [("channels_app", "0004_operators_fields")]

    operations = [
        migrations.AddField(
            "channel",
            "key_digest",
            models.CharField(blank=True, db_default="", db_index=True, default="", max_length=64),
        ),
    ]
