import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """A table beside the channels for what live traffic tells about them. Old code does not know it and needs not."""

    dependencies = [
        ("channels_app", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ChannelHealth",
            fields=[
                (
                    "channel",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="health",
                        serialize=False,
                        to="channels_app.channel",
                    ),
                ),
                (
                    "breaker_state",
                    models.IntegerField(choices=[(0, "closed"), (1, "open"), (2, "half open")], default=0),
                ),
                ("opened_until", models.BigIntegerField(default=0)),
                ("failures", models.IntegerField(default=0)),
                ("openings", models.IntegerField(default=0)),
                ("last_failure", models.TextField(blank=True, default="")),
                ("changed_at", models.BigIntegerField(default=0)),
                ("outcomes", models.TextField(blank=True, default="")),
                ("outcomes_version", models.BigIntegerField(default=0)),
            ],
            options={
                "verbose_name": "health of a channel",
                "verbose_name_plural": "health of channels",
                "db_table": "channel_healths",
            },
        ),
    ]
