"""Give the admin a model for its index, permissions and audit entries. The jobs themselves are in DynamoDB."""

from django.db import models


class Job(models.Model):
    """One photo's way through the service. It has no table and no rows: instances are made from ids and never saved."""

    prediction_id: "models.CharField[str, str]" = models.CharField(primary_key=True, max_length=64)

    class Meta:
        managed = False
        # Jobs come from Telegram alone: there is nothing to add.
        default_permissions = ("view", "change", "delete")

    def __str__(self) -> str:
        return self.prediction_id
