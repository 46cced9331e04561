"""Counters of rate limits; losing them loses nothing but a limit's memory."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="RateWindow",
            fields=[
                ("key", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("started", models.BigIntegerField(db_index=True)),
                ("count", models.IntegerField(default=0)),
            ],
            options={"db_table": "rate_windows"},
        ),
    ]
