"""The permissions and the content type of jobs. There is no table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [  # noqa: RUF012  # Django's own declaration of it.
        migrations.CreateModel(
            name="Job",
            fields=[("prediction_id", models.CharField(max_length=64, primary_key=True, serialize=False))],
            options={"managed": False, "default_permissions": ("view", "change", "delete")},
        )
    ]
