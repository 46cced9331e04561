from django.db import migrations, models


class Migration(migrations.Migration):
    """A table of its own for calls with an Idempotency-Key. Old code does not know it and answers without keys."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="KeyedCall",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("user_id", models.BigIntegerField(db_index=True)),
                ("fingerprint", models.CharField(max_length=64)),
                ("request_id", models.CharField(max_length=64)),
                (
                    "state",
                    models.SmallIntegerField(
                        choices=[(0, "running"), (1, "answer kept"), (2, "answer too large to be kept")], default=0
                    ),
                ),
                ("claimed_at", models.BigIntegerField()),
                ("expires_at", models.BigIntegerField(db_index=True)),
                ("answer", models.BinaryField(null=True)),
            ],
            options={
                "verbose_name": "keyed call",
                "verbose_name_plural": "keyed calls",
                "db_table": "keyed_calls",
            },
        ),
    ]
