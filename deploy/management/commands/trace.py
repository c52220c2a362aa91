"""Show what happened to one photo, from the update to the answer."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.table import Table
from rich.text import Text

from deploy.management.base import DataCommand
from detection.record import items, predictions, timeline, times
from detection.record.schemas import Prediction


class Command(DataCommand):
    """Print the steps of one photo, how long each took, and what can be expected now."""

    help = "Print what happened to one photo and when: from its arrival to the answer. Needs dynamodb:GetItem."
    interrupted = "Interrupted."
    needs = ("PREDICTIONS_TABLE", "PREDICTIONS_KEPT_DAYS")

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the photo and the format."""
        super().add_arguments(parser)
        parser.add_argument("prediction_id", help="id from the logs, the admin or the names of the images")
        parser.add_argument("--json", action="store_true", help="print it as JSON")

    def work(self, **options: Any) -> None:
        """Find the photo and print it."""
        prediction_id = options["prediction_id"]
        try:
            prediction = predictions.find(prediction_id)
        except items.Incomplete as error:
            raise CommandError(str(error)) from error
        if prediction is None:
            raise CommandError(
                f"There is no photo {prediction_id}. Log lines about a photo have its id; photos are deleted"
                f" after {settings.PREDICTIONS_KEPT_DAYS} days."
            )
        if options["json"]:
            self.stdout.write(json.dumps(_as_dict(prediction), indent=2))
        else:
            self._print(prediction)

    def _print(self, prediction: Prediction) -> None:
        console = self.console()
        console.print(f"{prediction.prediction_id}  {prediction.status}, {prediction.delivery}", markup=False)
        table = Table("step", "at (UTC)", "after", "", box=None, header_style="bold", pad_edge=False)
        table.columns[2].justify = "right"
        for step in timeline.steps(prediction):
            table.add_row(step.name, times.text(step.at), timeline.readable(step.after_ms), Text(step.note))
        console.print(table)
        if (total := timeline.total_ms(prediction)) is not None:
            console.print(f"from the update to the answer: {timeline.readable(total)}")
        console.print(timeline.advice(prediction), markup=False)


def _as_dict(prediction: Prediction) -> dict[str, object]:
    steps = [
        {"step": step.name, "at": times.text(step.at), "after_ms": step.after_ms, "note": step.note}
        for step in timeline.steps(prediction)
    ]
    return {
        "prediction_id": prediction.prediction_id,
        "status": prediction.status,
        "delivery": prediction.delivery,
        "steps": steps,
        "total_ms": timeline.total_ms(prediction),
        "advice": timeline.advice(prediction),
    }
