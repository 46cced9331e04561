import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Tables for runs of channel tests and what they found. Old code does not know them and needs not."""

    dependencies = [
        ("channels_app", "0005_key_digest"),
    ]

    operations = [
        migrations.CreateModel(
            name="TestRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("scope", models.CharField(max_length=16)),
                ("model", models.CharField(blank=True, default="", max_length=191)),
                ("started_by", models.CharField(blank=True, default="", max_length=64)),
                ("started", models.BigIntegerField()),
                ("finished", models.BigIntegerField(default=0)),
                ("total", models.IntegerField(default=0)),
                ("holder", models.CharField(blank=True, default="", max_length=32)),
                ("cancelled", models.BooleanField(default=False)),
                ("ended", models.CharField(blank=True, default="", max_length=16)),
            ],
            options={
                "verbose_name": "test run",
                "verbose_name_plural": "test runs",
                "db_table": "channel_test_runs",
            },
        ),
        migrations.CreateModel(
            name="TestRunResult",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel_id", models.BigIntegerField()),
                ("channel_name", models.CharField(blank=True, default="", max_length=128)),
                ("model", models.CharField(blank=True, default="", max_length=191)),
                (
                    "outcome",
                    models.IntegerField(
                        choices=[(0, "not tested"), (1, "passed"), (2, "failed"), (3, "passed, too slow")]
                    ),
                ),
                ("milliseconds", models.BigIntegerField(default=0)),
                ("message", models.TextField(blank=True, default="")),
                ("change", models.IntegerField(default=0)),
                ("tested_at", models.BigIntegerField(db_index=True)),
                (
                    "run",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="results",
                        to="channels_app.testrun",
                    ),
                ),
            ],
            options={
                "verbose_name": "test result",
                "verbose_name_plural": "test results",
                "db_table": "channel_test_results",
                "indexes": [models.Index(fields=["channel_id", "id"], name="test_result_of_channel")],
            },
        ),
    ]
