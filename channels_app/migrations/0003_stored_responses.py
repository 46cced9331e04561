from django.db import migrations, models


class Migration(migrations.Migration):
    """A table of its own for where responses are kept. Old code does not know it and needs not."""

    dependencies = [
        ("channels_app", "0002_health"),
    ]

    operations = [
        migrations.CreateModel(
            name="StoredResponse",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("user_id", models.BigIntegerField()),
                ("channel_id", models.BigIntegerField()),
                ("created_at", models.BigIntegerField(db_index=True)),
            ],
            options={
                "verbose_name": "stored response",
                "verbose_name_plural": "stored responses",
                "db_table": "stored_responses",
            },
        ),
    ]
