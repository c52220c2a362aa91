"""Show what happened to one photo, from the update to the answer."""

from typing import IO, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from detection import items, predictions, timeline, times
from detection.schemas import Prediction


class Command(BaseCommand):
    help = "Print what happened to one photo and when, from its arrival to the answer."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prediction_id", help="id from the logs, the admin or the names of the images")

    def handle(self, *args: Any, **options: Any) -> None:
        prediction_id = options["prediction_id"]
        try:
            prediction = predictions.find(prediction_id)
        except (items.Incomplete, ClientError, BotoCoreError) as error:
            raise CommandError(str(error)) from error
        if prediction is None:
            raise CommandError(
                f"There is no photo {prediction_id}. Log lines about a photo have its id; photos are deleted"
                " after PREDICTIONS_KEPT_DAYS days."
            )
        self._print(prediction)

    def _print(self, prediction: Prediction) -> None:
        # Django would add a line break to each piece that rich writes.
        self.stdout.ending = ""
        width = None if self.stdout.isatty() else 160
        console = Console(file=cast(IO[str], self.stdout), highlight=False, markup=False, soft_wrap=True, width=width)
        console.print(f"{prediction.prediction_id}  {prediction.status}, {prediction.delivery}")
        table = Table("step", "at (UTC)", "after", "", box=None, header_style="bold", pad_edge=False)
        table.columns[2].justify = "right"
        for step in timeline.steps(prediction):
            table.add_row(step.name, times.text(step.at), timeline.readable(step.after_ms), step.note)
        console.print(table)
        if (total := timeline.total_ms(prediction)) is not None:
            console.print(f"from the update to the answer: {timeline.readable(total)}")
        console.print(timeline.advice(prediction))
